-- Whoever's least place is the greatest was at one alone: the pairs need not be made distinct first.
SELECT pcod, value
FROM (
    SELECT place, count(*) AS value
    FROM (
        SELECT min(place) AS place
        FROM read_parquet($visits_0_1, hive_partitioning = true, hive_types = {'day': DATE}) AS visits
        JOIN (
            SELECT location_id, place FROM read_parquet($cell_units)
            WHERE unit = 'admin3' AND DATE '2016-01-01' BETWEEN first_day AND last_day
        ) AS cells USING (location_id)
        GROUP BY msisdn
        HAVING min(place) = max(place)
    )
    GROUP BY place
)
JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY pcod
