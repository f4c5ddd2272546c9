-- A distance is computed once a subscriber and place, and weighs as many events as there were. Distances are Lambert's, on
-- WGS84, in steps so that each term is computed once.
WITH points AS (
    SELECT place, lon, lat FROM read_parquet($places) WHERE unit = 'lon-lat'
), home AS (
    SELECT msisdn, (max((epoch_us(datetime) - epoch_us(TIMESTAMPTZ '2016-01-01 00:00:00+00')) * 262144 + place) & 262143)::INTEGER AS place
    FROM read_parquet($calls_0_1, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (
        SELECT location_id, place FROM read_parquet($cell_units)
        WHERE unit = 'lon-lat' AND DATE '2016-01-01' BETWEEN first_day AND last_day
    ) AS cells USING (location_id)
    GROUP BY msisdn
), visits AS (
    SELECT msisdn, place, sum(events)::BIGINT AS n
    FROM read_parquet($visits_0_7, hive_partitioning = true, hive_types = {'day': DATE}) AS visits
    JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'lon-lat') AS cells
    ON visits.location_id = cells.location_id AND visits.day BETWEEN cells.first_day AND cells.last_day
    GROUP BY msisdn, place
), reduced AS (
    SELECT
        msisdn, n, radians(there.lon - here.lon) / 2 AS half_lon, 1 / 298.257223563 AS f,
        atan((1 - f) * tan(radians(here.lat))) AS b1, atan((1 - f) * tan(radians(there.lat))) AS b2
    FROM visits
    JOIN home USING (msisdn)
    JOIN points AS here ON here.place = home.place
    JOIN points AS there ON there.place = visits.place
), angles AS (
    SELECT
        msisdn, n, f, (b1 + b2) / 2 AS p, (b2 - b1) / 2 AS q,
        asin(sqrt(least(sin(q) * sin(q) + cos(b1) * cos(b2) * sin(half_lon) * sin(half_lon), 1.0))) AS half
    FROM reduced
), distances AS (
    SELECT
        msisdn, n,
        (2 * half - sin(2 * half)) * (sin(p) * cos(q)) ** 2 / nullif(cos(half) ** 2, 0) AS x,
        (2 * half + sin(2 * half)) * (cos(p) * sin(q)) ** 2 / nullif(sin(half) ** 2, 0) AS y,
        coalesce(6378.137 * (2 * half - f / 2 * (x + y)), 0) AS km
    FROM angles
)
SELECT msisdn AS subscriber, sum(km * n) / sum(n) AS value
FROM distances
GROUP BY msisdn
ORDER BY subscriber
