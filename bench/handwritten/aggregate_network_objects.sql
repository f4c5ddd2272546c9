-- By cell and hour first: 340,000 are left to join, not 10 million events. Hours and days begin in UTC, the lake's zone.
SELECT pcod, value, make_timestamptz(epoch_us(day::TIMESTAMP)) AS datetime
FROM (
    SELECT place, day, avg(cells_in_use) AS value
    FROM (
        SELECT place, events.day AS day, hour, count(*) AS cells_in_use
        FROM (
            SELECT DISTINCT location_id, day, minute // 60 AS hour
            FROM read_parquet($calls_0_7, hive_partitioning = true, hive_types = {'day': DATE})
        ) AS events
        JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'admin3') AS cells
            ON events.location_id = cells.location_id AND events.day BETWEEN cells.first_day AND cells.last_day
        GROUP BY place, events.day, hour
    )
    GROUP BY place, day
)
JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY pcod, datetime
