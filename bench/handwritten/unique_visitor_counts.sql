-- The pairs of subscriber and place are made distinct once, and serve both counts.
WITH modal_days AS (
    SELECT msisdn, day, max((epoch_us(last) - epoch_us(TIMESTAMPTZ '2016-01-01 00:00:00+00')) * 262144 + place) & 262143 AS place
    FROM read_parquet($visits_0_7, hive_partitioning = true, hive_types = {'day': DATE}) AS visits
    JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'admin3') AS cells
        ON visits.location_id = cells.location_id AND visits.day BETWEEN cells.first_day AND cells.last_day
    GROUP BY msisdn, day
), modal_counts AS (
    SELECT msisdn, place, count(*) AS days, max(day - DATE '2016-01-01') AS day FROM modal_days GROUP BY msisdn, place
), modal AS MATERIALIZED (
    SELECT msisdn, (max(days << 40 | day << 18 | place) & 262143)::INTEGER AS place FROM modal_counts GROUP BY msisdn
), seen AS MATERIALIZED (
    SELECT DISTINCT msisdn, place
    FROM read_parquet($visits_7_14, hive_partitioning = true, hive_types = {'day': DATE}) AS visits
    JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'admin3') AS cells
        ON visits.location_id = cells.location_id AND visits.day BETWEEN cells.first_day AND cells.last_day
), everyone AS (
    SELECT place, count(*) AS everyone FROM seen GROUP BY place
), active AS (
    SELECT place, count(*) AS active FROM modal SEMI JOIN seen USING (msisdn, place) GROUP BY place
)
SELECT pcod, everyone - coalesce(active, 0) AS value
FROM (SELECT DISTINCT place FROM modal) LEFT JOIN active USING (place) LEFT JOIN everyone USING (place)
JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY pcod
