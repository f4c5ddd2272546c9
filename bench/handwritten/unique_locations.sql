-- Distinct pairs of integers, which become codes at the end.
SELECT subscriber, pcod
FROM (
    SELECT DISTINCT msisdn AS subscriber, place
    FROM read_parquet($visits_0_7, hive_partitioning = true, hive_types = {'day': DATE}) AS visits
    JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'admin3') AS cells
        ON visits.location_id = cells.location_id AND visits.day BETWEEN cells.first_day AND cells.last_day
)
JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY subscriber, pcod
