-- People are grouped by an integer whose bits are their periods; lists are made of the groups.
SELECT
    list_transform(list_filter(range(28), lambda n: (bits >> n::INTEGER) & 1 = 1), lambda n: TIMESTAMP '2016-01-01' + to_hours(n * 12)) AS grp,
    value
FROM (
    SELECT bits, count(*) AS value
    FROM (
    SELECT msisdn, bit_or(1::BIGINT << (date_diff('day', DATE '2016-01-01', day) * 2 + minute // 720)::INTEGER) AS bits
    FROM read_parquet($calls_0_14, hive_partitioning = true, hive_types = {'day': DATE})
    GROUP BY msisdn
    )
    GROUP BY bits
)
ORDER BY grp
