-- A window, which sorts each subscriber's events once. Sorted lists a subscriber, unnested against themselves, take a
-- third longer, and a window a day with the days then put together twice as long.
WITH followed AS (
    SELECT msisdn, place AS origin, lead(place) OVER (PARTITION BY msisdn ORDER BY datetime, place) AS destination
    FROM read_parquet($calls_0_7, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'admin3') AS cells
        ON events.location_id = cells.location_id AND events.day BETWEEN cells.first_day AND cells.last_day
), trips AS (
    SELECT origin, destination, count(*) AS value
    FROM (SELECT DISTINCT msisdn, origin, destination FROM followed WHERE destination IS NOT NULL)
    GROUP BY origin, destination
), places AS (
    SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3'
)
SELECT origins.pcod AS pcod_from, destinations.pcod AS pcod_to, value
FROM trips
JOIN places AS origins ON origins.place = origin
JOIN places AS destinations ON destinations.place = destination
ORDER BY pcod_from, pcod_to
