-- One scan of settled visits a week. The greatest weight alone can be more than half, and it is the fallback's weight: no
-- join with the weights is needed.
WITH days_0 AS (
    SELECT msisdn, day, (max((epoch_us(last) - epoch_us(TIMESTAMPTZ '2016-01-01 00:00:00+00')) * 262144 + place) & 262143)::INTEGER AS place
    FROM read_parquet($visits_0_7, hive_partitioning = true, hive_types = {'day': DATE}) AS visits
    JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'admin3') AS cells
        ON visits.location_id = cells.location_id AND visits.day BETWEEN cells.first_day AND cells.last_day
    GROUP BY msisdn, day
), weights_0 AS (
    SELECT msisdn, place, count(*) AS value FROM days_0 GROUP BY msisdn, place
), recent_0 AS (
    SELECT msisdn, place, count(*) AS value FROM days_0 WHERE day >= DATE '2016-01-04' GROUP BY msisdn, place
), preferred_0 AS (
    SELECT msisdn, CASE WHEN 2 * most > total AND 2 * most > 3 THEN place END AS place
    FROM (SELECT msisdn, arg_max(place, value) AS place, max(value) AS most, sum(value) AS total FROM recent_0 GROUP BY msisdn)
), fallback_0 AS (
    SELECT msisdn, place
    FROM (SELECT msisdn, arg_max(place, value) AS place, max(value) AS most, sum(value) AS total FROM weights_0 GROUP BY msisdn)
    WHERE 2 * most > total AND most >= 2
), week_0 AS (
    SELECT msisdn, coalesce(preferred_0.place, fallback_0.place) AS place
    FROM preferred_0 FULL JOIN fallback_0 USING (msisdn)
)
SELECT msisdn AS subscriber, pcod
FROM week_0 LEFT JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY subscriber
