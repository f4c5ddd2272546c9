-- A day at a time: 100,000 groups fit the cache, and the cells are those of that day. A window over all days at once
-- takes a third longer. Place and time share one integer, whose maximum is the latest with the tie broken by code.
WITH modal_days AS (
    SELECT msisdn, 0 AS day, max((epoch_us(datetime) - epoch_us(TIMESTAMPTZ '2016-01-01 00:00:00+00')) * 262144 + place) & 262143 AS place
    FROM read_parquet($calls_0_1, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (
        SELECT location_id, place FROM read_parquet($cell_units)
        WHERE unit = 'admin3' AND DATE '2016-01-01' BETWEEN first_day AND last_day
    ) AS cells USING (location_id)
    GROUP BY msisdn
    UNION ALL
    SELECT msisdn, 1 AS day, max((epoch_us(datetime) - epoch_us(TIMESTAMPTZ '2016-01-02 00:00:00+00')) * 262144 + place) & 262143 AS place
    FROM read_parquet($calls_1_2, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (
        SELECT location_id, place FROM read_parquet($cell_units)
        WHERE unit = 'admin3' AND DATE '2016-01-02' BETWEEN first_day AND last_day
    ) AS cells USING (location_id)
    GROUP BY msisdn
    UNION ALL
    SELECT msisdn, 2 AS day, max((epoch_us(datetime) - epoch_us(TIMESTAMPTZ '2016-01-03 00:00:00+00')) * 262144 + place) & 262143 AS place
    FROM read_parquet($calls_2_3, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (
        SELECT location_id, place FROM read_parquet($cell_units)
        WHERE unit = 'admin3' AND DATE '2016-01-03' BETWEEN first_day AND last_day
    ) AS cells USING (location_id)
    GROUP BY msisdn
    UNION ALL
    SELECT msisdn, 3 AS day, max((epoch_us(datetime) - epoch_us(TIMESTAMPTZ '2016-01-04 00:00:00+00')) * 262144 + place) & 262143 AS place
    FROM read_parquet($calls_3_4, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (
        SELECT location_id, place FROM read_parquet($cell_units)
        WHERE unit = 'admin3' AND DATE '2016-01-04' BETWEEN first_day AND last_day
    ) AS cells USING (location_id)
    GROUP BY msisdn
    UNION ALL
    SELECT msisdn, 4 AS day, max((epoch_us(datetime) - epoch_us(TIMESTAMPTZ '2016-01-05 00:00:00+00')) * 262144 + place) & 262143 AS place
    FROM read_parquet($calls_4_5, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (
        SELECT location_id, place FROM read_parquet($cell_units)
        WHERE unit = 'admin3' AND DATE '2016-01-05' BETWEEN first_day AND last_day
    ) AS cells USING (location_id)
    GROUP BY msisdn
    UNION ALL
    SELECT msisdn, 5 AS day, max((epoch_us(datetime) - epoch_us(TIMESTAMPTZ '2016-01-06 00:00:00+00')) * 262144 + place) & 262143 AS place
    FROM read_parquet($calls_5_6, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (
        SELECT location_id, place FROM read_parquet($cell_units)
        WHERE unit = 'admin3' AND DATE '2016-01-06' BETWEEN first_day AND last_day
    ) AS cells USING (location_id)
    GROUP BY msisdn
    UNION ALL
    SELECT msisdn, 6 AS day, max((epoch_us(datetime) - epoch_us(TIMESTAMPTZ '2016-01-07 00:00:00+00')) * 262144 + place) & 262143 AS place
    FROM read_parquet($calls_6_7, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (
        SELECT location_id, place FROM read_parquet($cell_units)
        WHERE unit = 'admin3' AND DATE '2016-01-07' BETWEEN first_day AND last_day
    ) AS cells USING (location_id)
    GROUP BY msisdn
), modal_counts AS (
    SELECT msisdn, place, count(*) AS days, max(day) AS day FROM modal_days GROUP BY msisdn, place
), modal AS (
    SELECT msisdn, (max(days << 40 | day << 18 | place) & 262143)::INTEGER AS place FROM modal_counts GROUP BY msisdn
)
SELECT pcod, value
FROM (SELECT place, count(*) AS value FROM modal GROUP BY place)
JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY pcod
