-- As daily_location_most_common. Grouping by cell or by day before grouping by place costs more than it saves: the
-- groups are too many.
SELECT subscriber, pcod
FROM (
    SELECT msisdn AS subscriber, (max(events::HUGEINT << 64 | latest::HUGEINT << 18 | place) & 262143)::INTEGER AS place
    FROM (
        SELECT msisdn, place, count(*) AS events, max(epoch_us(datetime)) AS latest
        FROM read_parquet($calls_0_7, hive_partitioning = true, hive_types = {'day': DATE}) AS events
        JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'admin3') AS cells
        ON events.location_id = cells.location_id AND events.day BETWEEN cells.first_day AND cells.last_day
        GROUP BY msisdn, place
    )
    GROUP BY msisdn
)
JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY subscriber
