-- The greatest weight alone can be more than half.
WITH days AS (
    SELECT msisdn, day, (max((epoch_us(last) - epoch_us(TIMESTAMPTZ '2016-01-01 00:00:00+00')) * 262144 + place) & 262143)::INTEGER AS place
    FROM read_parquet($visits_0_7, hive_partitioning = true, hive_types = {'day': DATE}) AS visits
    JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'admin3') AS cells
        ON visits.location_id = cells.location_id AND visits.day BETWEEN cells.first_day AND cells.last_day
    GROUP BY msisdn, day
), weights AS (
    SELECT msisdn, place, count(*) AS value FROM days GROUP BY msisdn, place
)
SELECT msisdn AS subscriber, pcod
FROM (SELECT msisdn, arg_max(place, value) AS place, max(value) AS most, sum(value) AS total FROM weights GROUP BY msisdn)
JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
WHERE 2 * most > total
ORDER BY subscriber
