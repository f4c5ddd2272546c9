-- By cell first: 28,000 counts are left to join, not 5 million visits.
SELECT pcod, date, value
FROM (
    SELECT place, visits.day::VARCHAR AS date, sum(n)::BIGINT AS value
    FROM (
        SELECT location_id, day, sum(events) AS n
        FROM read_parquet($visits_0_14, hive_partitioning = true, hive_types = {'day': DATE})
        GROUP BY location_id, day
    ) AS visits
    JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'admin3') AS cells
        ON visits.location_id = cells.location_id AND visits.day BETWEEN cells.first_day AND cells.last_day
    GROUP BY place, visits.day
)
JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY pcod, date
