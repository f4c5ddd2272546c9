-- People are grouped by an integer whose bits are their periods; lists are made of the groups. Place and time share one
-- integer, whose maximum is the latest with the tie broken by code.
WITH home AS (
    SELECT msisdn, (max((epoch_us(datetime) - epoch_us(TIMESTAMPTZ '2016-01-01 00:00:00+00')) * 262144 + place) & 262143)::INTEGER AS place
    FROM read_parquet($calls_0_1, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (
        SELECT location_id, place FROM read_parquet($cell_units)
        WHERE unit = 'admin3' AND DATE '2016-01-01' BETWEEN first_day AND last_day
    ) AS cells USING (location_id)
    GROUP BY msisdn
), active AS (
    SELECT msisdn, bit_or(1::BIGINT << (date_diff('day', DATE '2016-01-01', day) * 2 + minute // 720)::INTEGER) AS bits
    FROM read_parquet($calls_0_14, hive_partitioning = true, hive_types = {'day': DATE})
    GROUP BY msisdn
)
SELECT
    pcod,
    CASE WHEN bits IS NOT NULL THEN list_transform(list_filter(range(28), lambda n: (bits >> n::INTEGER) & 1 = 1), lambda n: TIMESTAMP '2016-01-01' + to_hours(n * 12)) END AS value_label,
    value
FROM (SELECT place, bits, count(*) AS value FROM home LEFT JOIN active USING (msisdn) GROUP BY place, bits)
JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY pcod, value_label NULLS LAST
