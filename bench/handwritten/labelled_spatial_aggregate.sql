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
), days_1 AS (
    SELECT msisdn, day, (max((epoch_us(last) - epoch_us(TIMESTAMPTZ '2016-01-08 00:00:00+00')) * 262144 + place) & 262143)::INTEGER AS place
    FROM read_parquet($visits_7_14, hive_partitioning = true, hive_types = {'day': DATE}) AS visits
    JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'admin3') AS cells
        ON visits.location_id = cells.location_id AND visits.day BETWEEN cells.first_day AND cells.last_day
    GROUP BY msisdn, day
), weights_1 AS (
    SELECT msisdn, place, count(*) AS value FROM days_1 GROUP BY msisdn, place
), recent_1 AS (
    SELECT msisdn, place, count(*) AS value FROM days_1 WHERE day >= DATE '2016-01-11' GROUP BY msisdn, place
), preferred_1 AS (
    SELECT msisdn, CASE WHEN 2 * most > total AND 2 * most > 3 THEN place END AS place
    FROM (SELECT msisdn, arg_max(place, value) AS place, max(value) AS most, sum(value) AS total FROM recent_1 GROUP BY msisdn)
), fallback_1 AS (
    SELECT msisdn, place
    FROM (SELECT msisdn, arg_max(place, value) AS place, max(value) AS most, sum(value) AS total FROM weights_1 GROUP BY msisdn)
    WHERE 2 * most > total AND most >= 2
), week_1 AS (
    SELECT msisdn, coalesce(preferred_1.place, fallback_1.place) AS place
    FROM preferred_1 FULL JOIN fallback_1 USING (msisdn)
), labels AS (
    SELECT
        week_1.msisdn,
        CASE
            WHEN week_1.place IS NULL THEN 'unlocated'
            WHEN week_0.msisdn IS NULL THEN 'irregular'
            WHEN week_0.place IS NULL THEN 'not_always_locatable'
            WHEN week_0.place = week_1.place THEN 'stable'
            ELSE 'mobile'
        END AS label
    FROM week_1 LEFT JOIN week_0 ON week_0.msisdn = week_1.msisdn
), counts AS (
    SELECT place, label, count(*) AS value FROM week_1 LEFT JOIN labels USING (msisdn) GROUP BY place, label
)
SELECT pcod, label AS value_label, value
FROM counts LEFT JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY pcod NULLS LAST, value_label NULLS LAST
