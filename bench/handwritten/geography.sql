-- Nothing to choose: two small tables.
SELECT pcod, geom
FROM (SELECT pcod FROM read_parquet($places) WHERE unit = 'admin3')
JOIN (SELECT pcod, geom FROM read_parquet($geography) WHERE unit = 'admin3') USING (pcod)
ORDER BY pcod
