-- One stay a subscriber and place, joined with itself: the pairs are of stays, not of events.
WITH stays AS (
    SELECT msisdn, place, min(first) AS first, max(last) AS last
    FROM read_parquet($visits_0_2, hive_partitioning = true, hive_types = {'day': DATE}) AS visits
    JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'admin3') AS cells
        ON visits.location_id = cells.location_id AND visits.day BETWEEN cells.first_day AND cells.last_day
    GROUP BY msisdn, place
), trips AS (
    SELECT a.place AS origin, b.place AS destination, count(*) AS value
    FROM stays AS a JOIN stays AS b ON a.msisdn = b.msisdn AND a.place <> b.place AND a.first < b.last
    GROUP BY origin, destination
), places AS (
    SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3'
)
SELECT origins.pcod AS pcod_from, destinations.pcod AS pcod_to, value
FROM trips
JOIN places AS origins ON origins.place = origin
JOIN places AS destinations ON destinations.place = destination
ORDER BY pcod_from, pcod_to
