-- Settled visits are several times fewer rows than events.
SELECT msisdn AS subscriber, sum(events)::BIGINT AS value
FROM read_parquet($visits_0_7, hive_partitioning = true, hive_types = {'day': DATE})
GROUP BY msisdn
ORDER BY subscriber
