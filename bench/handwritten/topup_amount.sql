-- Two columns are read.
SELECT msisdn AS subscriber, sum(recharge_amount) AS value
FROM read_parquet($topups_0_7, hive_partitioning = true, hive_types = {'day': DATE})
WHERE recharge_amount IS NOT NULL
GROUP BY msisdn
ORDER BY subscriber
