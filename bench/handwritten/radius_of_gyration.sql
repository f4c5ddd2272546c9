-- A distance is computed once a subscriber and place. DuckDB keeps the visits, as they are used
-- twice; a window and a list a subscriber are slower. Distances are Lambert's, on WGS84, in steps so that each term is
-- computed once.
WITH visits AS (
    SELECT msisdn, n, lon, lat
    FROM (
        SELECT msisdn, place, sum(events)::DOUBLE AS n
        FROM read_parquet($visits_0_7, hive_partitioning = true, hive_types = {'day': DATE}) AS visits
        JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'lon-lat') AS cells
        ON visits.location_id = cells.location_id AND visits.day BETWEEN cells.first_day AND cells.last_day
        GROUP BY msisdn, place
    )
    JOIN (SELECT place, lon, lat FROM read_parquet($places) WHERE unit = 'lon-lat') AS points USING (place)
), centres AS (
    SELECT msisdn, sum(lon * n) / sum(n) AS lon0, sum(lat * n) / sum(n) AS lat0 FROM visits GROUP BY msisdn
), reduced AS (
    SELECT
        msisdn, n, radians(lon0 - lon) / 2 AS half_lon, 1 / 298.257223563 AS f,
        atan((1 - f) * tan(radians(lat))) AS b1, atan((1 - f) * tan(radians(lat0))) AS b2
    FROM visits JOIN centres USING (msisdn)
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
SELECT msisdn AS subscriber, sqrt(sum(km * km * n) / sum(n)) AS value
FROM distances
GROUP BY msisdn
ORDER BY subscriber
