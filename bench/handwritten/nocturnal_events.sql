-- The minute of the day is stored: no time is taken apart.
SELECT msisdn AS subscriber, count(*) FILTER (minute >= 1200 OR minute < 240) * 100.0::DOUBLE / count(*) AS value
FROM read_parquet($calls_0_7, hive_partitioning = true, hive_types = {'day': DATE})
GROUP BY msisdn
ORDER BY subscriber
