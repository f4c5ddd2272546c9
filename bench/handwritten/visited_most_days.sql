-- The days of a place are bits of an integer: counting them then needs no grouping by day.
SELECT subscriber, pcod
FROM (
    SELECT
        msisdn AS subscriber,
        (max((days::HUGEINT << 100) | (events::HUGEINT << 70) | (latest::HUGEINT << 18) | place) & 262143)::INTEGER AS place
    FROM (
        SELECT
            msisdn,
            place,
            bit_count(bit_or(1::BIGINT << (day - DATE '2016-01-01')::INTEGER)) AS days,
            sum(events) AS events,
            max(epoch_us(last)) AS latest
        FROM read_parquet($visits_0_7, hive_partitioning = true, hive_types = {'day': DATE}) AS visits
        JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'admin3') AS cells
            ON visits.location_id = cells.location_id AND visits.day BETWEEN cells.first_day AND cells.last_day
        GROUP BY msisdn, place
    )
    GROUP BY msisdn
)
JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY subscriber
