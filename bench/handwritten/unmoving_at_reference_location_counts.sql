-- Whoever's least place is the greatest was at one alone: the pairs need not be made distinct first.
WITH modal_days AS (
    SELECT msisdn, day, max((epoch_us(last) - epoch_us(TIMESTAMPTZ '2016-01-01 00:00:00+00')) * 262144 + place) & 262143 AS place
    FROM read_parquet($visits_0_7, hive_partitioning = true, hive_types = {'day': DATE}) AS visits
    JOIN (SELECT location_id, place, first_day, last_day FROM read_parquet($cell_units) WHERE unit = 'admin3') AS cells
        ON visits.location_id = cells.location_id AND visits.day BETWEEN cells.first_day AND cells.last_day
    GROUP BY msisdn, day
), modal_counts AS (
    SELECT msisdn, place, count(*) AS days, max(day - DATE '2016-01-01') AS day FROM modal_days GROUP BY msisdn, place
), modal AS (
    SELECT msisdn, (max(days << 40 | day << 18 | place) & 262143)::INTEGER AS place FROM modal_counts GROUP BY msisdn
), still AS (
    SELECT msisdn, min(place) AS place
    FROM read_parquet($visits_7_8, hive_partitioning = true, hive_types = {'day': DATE}) AS visits
    JOIN (
        SELECT location_id, place FROM read_parquet($cell_units)
        WHERE unit = 'admin3' AND DATE '2016-01-08' BETWEEN first_day AND last_day
    ) AS cells USING (location_id)
    GROUP BY msisdn
    HAVING min(place) = max(place)
)
SELECT pcod, value
FROM (SELECT place, count(*) AS value FROM modal SEMI JOIN still USING (msisdn, place) GROUP BY place)
JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY pcod
