-- One column is read.
SELECT msisdn AS subscriber, count(*) AS value
FROM read_parquet($calls_0_7, hive_partitioning = true, hive_types = {'day': DATE})
GROUP BY msisdn
ORDER BY subscriber
