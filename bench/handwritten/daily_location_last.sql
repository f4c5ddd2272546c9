-- Settled visits, a quarter of the events. Time and place in one integer: its maximum is quicker than arg_max by a
-- struct, a window, or a join with max(last). On one day a cell has one version, so cells are cut by date before the join.
SELECT subscriber, pcod
FROM (
    SELECT msisdn AS subscriber, (max((epoch_us(last) - epoch_us(TIMESTAMPTZ '2016-01-01 00:00:00+00')) * 262144 + place) & 262143)::INTEGER AS place
    FROM read_parquet($visits_0_1, hive_partitioning = true, hive_types = {'day': DATE}) AS visits
    JOIN (
        SELECT location_id, place FROM read_parquet($cell_units)
        WHERE unit = 'admin3' AND DATE '2016-01-01' BETWEEN first_day AND last_day
    ) AS cells USING (location_id)
    GROUP BY msisdn
)
JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY subscriber
