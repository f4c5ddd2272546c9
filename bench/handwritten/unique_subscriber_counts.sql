-- Distinct pairs, then a plain count. A bit set of places a subscriber is quicker on 75 districts, but grows with
-- subscribers times places and fails on a country's cells.
SELECT pcod, value
FROM (
    SELECT place, count(*) AS value
    FROM (
        SELECT DISTINCT msisdn, place
        FROM read_parquet($visits_0_14, hive_partitioning = true, hive_types = {'day': DATE}) AS visits
        JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'admin3') AS cells
        ON visits.location_id = cells.location_id AND visits.day BETWEEN cells.first_day AND cells.last_day
    )
    GROUP BY place
)
JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY pcod
