-- Distinct pairs first, then a plain count: less memory than a distinct count a subscriber, and faster.
SELECT msisdn AS subscriber, count(*) AS value
FROM (
    SELECT DISTINCT msisdn, msisdn_counterpart
    FROM read_parquet($calls_0_7, hive_partitioning = true, hive_types = {'day': DATE})
    WHERE msisdn_counterpart <> msisdn
)
GROUP BY msisdn
ORDER BY subscriber
