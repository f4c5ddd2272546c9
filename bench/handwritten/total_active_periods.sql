-- Each subscriber's periods are the bits of an integer: a third of the time that distinct pairs take.
SELECT msisdn AS subscriber, bit_count(bits)::BIGINT AS value
FROM (
    SELECT msisdn, bit_or(1::BIGINT << (date_diff('day', DATE '2016-01-01', day) * 2 + minute // 720)::INTEGER) AS bits
    FROM read_parquet($calls_0_14, hive_partitioning = true, hive_types = {'day': DATE})
    GROUP BY msisdn
)
ORDER BY subscriber
