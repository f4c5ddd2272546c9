-- Distinct pairs, then a plain count a subscriber; a distinct count takes longer and more memory.
SELECT subscriber, count(*) AS value
FROM (
    SELECT DISTINCT msisdn AS subscriber, place
    FROM read_parquet($visits_0_7, hive_partitioning = true, hive_types = {'day': DATE}) AS visits
    JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'admin3') AS cells
        ON visits.location_id = cells.location_id AND visits.day BETWEEN cells.first_day AND cells.last_day
)
GROUP BY subscriber
ORDER BY subscriber
