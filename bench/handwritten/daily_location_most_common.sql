-- Settled visits; then count, time and place in one 128-bit integer, whose maximum is quicker than arg_max by a struct.
SELECT subscriber, pcod
FROM (
    SELECT msisdn AS subscriber, (max(events::HUGEINT << 64 | latest::HUGEINT << 18 | place) & 262143)::INTEGER AS place
    FROM (
        SELECT msisdn, place, sum(events) AS events, max(epoch_us(last)) AS latest
        FROM read_parquet($visits_0_1, hive_partitioning = true, hive_types = {'day': DATE}) AS visits
        JOIN (
        SELECT location_id, place FROM read_parquet($cell_units)
        WHERE unit = 'admin3' AND DATE '2016-01-01' BETWEEN first_day AND last_day
    ) AS cells USING (location_id)
        GROUP BY msisdn, place
    )
    GROUP BY msisdn
)
JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY subscriber
