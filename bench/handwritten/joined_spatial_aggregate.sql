-- One scan of settled visits: they are so few that a day at a time is no quicker. Place and time share one integer,
-- whose maximum is the latest with the tie broken by code.
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
), counted AS (
    SELECT msisdn, sum(events)::BIGINT AS value FROM read_parquet($visits_0_7, hive_partitioning = true, hive_types = {'day': DATE}) GROUP BY msisdn
)
SELECT pcod, value
FROM (SELECT place, avg(value) AS value FROM modal JOIN counted USING (msisdn) GROUP BY place)
JOIN (SELECT place, pcod FROM read_parquet($places) WHERE unit = 'admin3') AS places USING (place)
ORDER BY pcod
