-- Bins by arithmetic, not by a join; the last one holds its upper edge.
WITH counted AS (
    SELECT sum(events)::DOUBLE AS x FROM read_parquet($visits_0_7, hive_partitioning = true, hive_types = {'day': DATE}) GROUP BY msisdn
), filled AS (
    SELECT least(floor(x / 20)::INTEGER, 9) AS bin, count(*) AS value FROM counted WHERE x BETWEEN 0 AND 200 GROUP BY bin
)
SELECT coalesce(value, 0) AS value, n * 20.0::DOUBLE AS lower_edge, (n + 1) * 20.0::DOUBLE AS upper_edge
FROM range(10) AS bins(n) LEFT JOIN filled ON bin = n
ORDER BY lower_edge
