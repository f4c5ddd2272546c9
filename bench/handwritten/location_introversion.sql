-- Outgoing halves against incoming ones: a join of all halves with themselves takes three times as long, and so does one
-- group an interaction. Interactions become few pairs of places before they are looked at from both ends.
WITH met AS MATERIALIZED (
    SELECT a.place AS origin, b.place AS destination, count(*) AS n
    FROM (
        SELECT id, place
        FROM read_parquet($calls_0_7, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'admin3') AS cells
        ON events.location_id = cells.location_id AND events.day BETWEEN cells.first_day AND cells.last_day
        WHERE outgoing
    ) AS a
    JOIN (
        SELECT id, place
        FROM read_parquet($calls_0_7, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'admin3') AS cells
        ON events.location_id = cells.location_id AND events.day BETWEEN cells.first_day AND cells.last_day
        WHERE NOT outgoing
    ) AS b USING (id)
    GROUP BY origin, destination
)
SELECT pcod, value
FROM (
    SELECT place, coalesce(sum(n) FILTER (origin = destination), 0) / sum(n) AS value
    FROM (SELECT origin AS place, * FROM met UNION ALL SELECT destination AS place, * FROM met)
    GROUP BY place
)
JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY pcod
