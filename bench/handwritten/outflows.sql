-- A day at a time: 100,000 groups fit the cache, and the cells are those of that day. A window over all days at once
-- takes a third longer. Place and time share one integer, whose maximum is the latest with the tie broken by code.
-- Two weeks in one pass, told apart by a column, take longer than two passes.
WITH before_days AS (
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
), before_counts AS (
    SELECT msisdn, place, count(*) AS days, max(day) AS day FROM before_days GROUP BY msisdn, place
), before AS (
    SELECT msisdn, (max(days << 40 | day << 18 | place) & 262143)::INTEGER AS place FROM before_counts GROUP BY msisdn
), after_days AS (
    SELECT msisdn, 7 AS day, max((epoch_us(datetime) - epoch_us(TIMESTAMPTZ '2016-01-08 00:00:00+00')) * 262144 + place) & 262143 AS place
    FROM read_parquet($calls_7_8, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (
        SELECT location_id, place FROM read_parquet($cell_units)
        WHERE unit = 'admin3' AND DATE '2016-01-08' BETWEEN first_day AND last_day
    ) AS cells USING (location_id)
    GROUP BY msisdn
    UNION ALL
    SELECT msisdn, 8 AS day, max((epoch_us(datetime) - epoch_us(TIMESTAMPTZ '2016-01-09 00:00:00+00')) * 262144 + place) & 262143 AS place
    FROM read_parquet($calls_8_9, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (
        SELECT location_id, place FROM read_parquet($cell_units)
        WHERE unit = 'admin3' AND DATE '2016-01-09' BETWEEN first_day AND last_day
    ) AS cells USING (location_id)
    GROUP BY msisdn
    UNION ALL
    SELECT msisdn, 9 AS day, max((epoch_us(datetime) - epoch_us(TIMESTAMPTZ '2016-01-10 00:00:00+00')) * 262144 + place) & 262143 AS place
    FROM read_parquet($calls_9_10, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (
        SELECT location_id, place FROM read_parquet($cell_units)
        WHERE unit = 'admin3' AND DATE '2016-01-10' BETWEEN first_day AND last_day
    ) AS cells USING (location_id)
    GROUP BY msisdn
    UNION ALL
    SELECT msisdn, 10 AS day, max((epoch_us(datetime) - epoch_us(TIMESTAMPTZ '2016-01-11 00:00:00+00')) * 262144 + place) & 262143 AS place
    FROM read_parquet($calls_10_11, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (
        SELECT location_id, place FROM read_parquet($cell_units)
        WHERE unit = 'admin3' AND DATE '2016-01-11' BETWEEN first_day AND last_day
    ) AS cells USING (location_id)
    GROUP BY msisdn
    UNION ALL
    SELECT msisdn, 11 AS day, max((epoch_us(datetime) - epoch_us(TIMESTAMPTZ '2016-01-12 00:00:00+00')) * 262144 + place) & 262143 AS place
    FROM read_parquet($calls_11_12, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (
        SELECT location_id, place FROM read_parquet($cell_units)
        WHERE unit = 'admin3' AND DATE '2016-01-12' BETWEEN first_day AND last_day
    ) AS cells USING (location_id)
    GROUP BY msisdn
    UNION ALL
    SELECT msisdn, 12 AS day, max((epoch_us(datetime) - epoch_us(TIMESTAMPTZ '2016-01-13 00:00:00+00')) * 262144 + place) & 262143 AS place
    FROM read_parquet($calls_12_13, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (
        SELECT location_id, place FROM read_parquet($cell_units)
        WHERE unit = 'admin3' AND DATE '2016-01-13' BETWEEN first_day AND last_day
    ) AS cells USING (location_id)
    GROUP BY msisdn
    UNION ALL
    SELECT msisdn, 13 AS day, max((epoch_us(datetime) - epoch_us(TIMESTAMPTZ '2016-01-14 00:00:00+00')) * 262144 + place) & 262143 AS place
    FROM read_parquet($calls_13_14, hive_partitioning = true, hive_types = {'day': DATE}) AS events
    JOIN (
        SELECT location_id, place FROM read_parquet($cell_units)
        WHERE unit = 'admin3' AND DATE '2016-01-14' BETWEEN first_day AND last_day
    ) AS cells USING (location_id)
    GROUP BY msisdn
), after_counts AS (
    SELECT msisdn, place, count(*) AS days, max(day) AS day FROM after_days GROUP BY msisdn, place
), after AS (
    SELECT msisdn, (max(days << 40 | day << 18 | place) & 262143)::INTEGER AS place FROM after_counts GROUP BY msisdn
)
SELECT pcod, value
FROM (SELECT before.place, count(*) AS value FROM before JOIN after USING (msisdn) GROUP BY before.place)
JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY pcod
