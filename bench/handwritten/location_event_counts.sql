-- By cell first: 28,000 counts are left to join, not 20 million events.
SELECT pcod, date, value
FROM (
    SELECT place, events.day::VARCHAR AS date, sum(n)::BIGINT AS value
    FROM (
        SELECT location_id, day, count(*) AS n
        FROM read_parquet($calls_0_14, hive_partitioning = true, hive_types = {'day': DATE})
        GROUP BY location_id, day
    ) AS events
    JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'admin3') AS cells
        ON events.location_id = cells.location_id AND events.day BETWEEN cells.first_day AND cells.last_day
    GROUP BY place, events.day
)
JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY pcod, date
