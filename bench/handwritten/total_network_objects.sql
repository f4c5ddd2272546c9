-- By cell first: 28,000 cells a day are left to join, not 5 million visits. Days begin in UTC, the lake's zone.
SELECT pcod, value, make_timestamptz(epoch_us(day::TIMESTAMP)) AS datetime
FROM (
    SELECT place, visits.day AS day, count(*) AS value
    FROM (
        SELECT DISTINCT location_id, day
        FROM read_parquet($visits_0_14, hive_partitioning = true, hive_types = {'day': DATE})
    ) AS visits
    JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'admin3') AS cells
        ON visits.location_id = cells.location_id AND visits.day BETWEEN cells.first_day AND cells.last_day
    GROUP BY place, visits.day
)
JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY pcod, datetime
