-- Events by site and day first, so that days are counted plainly. A subscriber's sites are one sorted list, and the
-- clusters a fold over it: each step compares a site with the clusters so far, first by latitude, which tells most
-- apart, then by the haversine, which is within 1 %; Lambert's distance decides the few that are left. Centres are
-- placed by a ray through the edges of their band of latitude, distinct ones only. Clusters are kept, as they are used
-- twice.
WITH a_day AS (
    SELECT
        msisdn, site, day, count(*) AS n,
        sum(CASE WHEN minute < 420 THEN -1 WHEN minute < 540 THEN 0 WHEN minute < 1020 THEN 1 WHEN minute < 1140 THEN 0 ELSE -1 END)
            AS hour
    FROM read_parquet($calls_0_7, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (
        SELECT location_id, site, first_day, last_day FROM read_parquet($cell_positions)
        WHERE first_day < DATE '2016-01-08' AND last_day >= DATE '2016-01-01'
    ) AS cells
    ON events.location_id = cells.location_id AND events.day BETWEEN cells.first_day AND cells.last_day
    GROUP BY msisdn, site, day
), visits AS (
    SELECT
        msisdn, site, count(*) AS days, sum(hour) / sum(n) AS hour,
        sum(CASE WHEN isodow(day) < 6 THEN n ELSE -n END) / sum(n) AS weekday
    FROM a_day
    GROUP BY msisdn, site
), sites AS (
    SELECT site, min(site_lon) AS lon, min(site_lat) AS lat FROM read_parquet($cell_positions) GROUP BY site
), lists AS (
    SELECT msisdn, list_sort(list({
        'lighter': -days, 'site': site, 'days': days, 'lon': lon, 'lat': lat, 'hour': hour, 'weekday': weekday
    })) AS sites
    FROM visits JOIN sites USING (site)
    GROUP BY msisdn
), clusters AS (
    SELECT msisdn, unnest(list_reduce(
        list_transform(sites, lambda s: [{
            'days': s.days, 'lon': s.lon, 'lat': s.lat, 'hour': s.hour, 'weekday': s.weekday, 'sites': 1
        }]),
        lambda x, y: [
            CASE
                WHEN own IS NULL THEN x || y
                ELSE list_transform(x, lambda v, n: CASE
                    WHEN n = own THEN {
                        'days': v.days + y[1].days,
                        'lon': (v.lon * v.days + y[1].lon * y[1].days) / (v.days + y[1].days),
                        'lat': (v.lat * v.days + y[1].lat * y[1].days) / (v.days + y[1].days),
                        'hour': v.hour + y[1].hour, 'weekday': v.weekday + y[1].weekday, 'sites': v.sites + 1
                    }
                    ELSE v
                END)
            END
            FOR own IN [list_position(list_transform(x, lambda v: CASE
                WHEN abs(v.lat - y[1].lat) * 110000 >= 10000 THEN false
                ELSE [
                    CASE
                        WHEN h >= sin(10100 / 12742000) ** 2 THEN false
                        WHEN h < sin(9900 / 12742000) ** 2 THEN true
                        ELSE [[[
                            6378137 * (2 * half - (
                                (2 * half - sin(2 * half)) * (sin((b[1] + b[2]) / 2) * cos((b[2] - b[1]) / 2)) ** 2
                                / cos(half) ** 2
                                + (2 * half + sin(2 * half)) * (cos((b[1] + b[2]) / 2) * sin((b[2] - b[1]) / 2)) ** 2
                                / sin(half) ** 2
                            ) / 2 / 298.257223563)
                            FOR half IN [asin(sqrt(
                                sin((b[2] - b[1]) / 2) ** 2
                                + cos(b[1]) * cos(b[2]) * sin(radians(y[1].lon - v.lon) / 2) ** 2
                            ))]
                        ][1] FOR b IN [[
                            atan((1 - 1 / 298.257223563) * tan(radians(v.lat))),
                            atan((1 - 1 / 298.257223563) * tan(radians(y[1].lat)))
                        ]]][1] < 10000][1]
                    END
                    FOR h IN [
                        sin(radians(y[1].lat - v.lat) / 2) ** 2
                        + cos(radians(v.lat)) * cos(radians(y[1].lat)) * sin(radians(y[1].lon - v.lon) / 2) ** 2
                    ]
                ][1]
            END), true)]
        ][1]
    )) AS cluster
    FROM lists
), kept AS MATERIALIZED (
    SELECT msisdn, cluster.lon AS lon, cluster.lat AS lat, hour < 0 AS evening
    FROM (SELECT msisdn, cluster, round(cluster.hour / cluster.sites, 6) AS hour FROM clusters)
    WHERE (hour > -2 AND hour < 0) OR (hour > 0.1 AND hour < 2)
), points AS (
    SELECT DISTINCT lon, lat, floor(lat * 128)::INTEGER AS in_band FROM kept
), met AS (
    SELECT lon, lat, place, lat < lat2 AS below, (lon2 - lon1) * (lat - lat1) - (lon - lon1) * (lat2 - lat1) AS side,
        lon >= least(lon1, lon2) AS along
    FROM points JOIN (SELECT * FROM read_parquet($unit_edges) WHERE unit = 'admin3') ON in_band = band
    AND lat >= lat1 AND lat <= lat2 AND lon <= greatest(lon1, lon2)
), inside AS (
    SELECT lon, lat, min(place) AS place
    FROM (
        SELECT lon, lat, place FROM met GROUP BY lon, lat, place
        HAVING count_if(below AND side > 0) % 2 = 1 AND count_if(side = 0 AND along) = 0
    )
    GROUP BY lon, lat
), each AS (
    SELECT msisdn, evening, place, count(*) AS n FROM kept LEFT JOIN inside USING (lon, lat) GROUP BY ALL
), shares AS (
    SELECT msisdn, evening, place, n / sum(n) OVER (PARTITION BY msisdn, evening) AS share FROM each
), pairs AS (
    SELECT a.place AS place_from, b.place AS place_to, sum(a.share * b.share) AS value
    FROM shares AS a JOIN shares AS b ON a.msisdn = b.msisdn AND a.evening AND NOT b.evening
    GROUP BY ALL
), codes AS (
    SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3'
)
SELECT 'evening' AS label_from, 'day' AS label_to, f.pcod AS pcod_from, t.pcod AS pcod_to, value
FROM pairs LEFT JOIN codes AS f ON place_from = f.place LEFT JOIN codes AS t ON place_to = t.place
ORDER BY pcod_from NULLS LAST, pcod_to NULLS LAST
