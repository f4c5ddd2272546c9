-- all: The most subscribers on one handset.
SELECT max(subscribers)
FROM (SELECT count(DISTINCT msisdn) AS subscribers FROM day WHERE imei IS NOT NULL GROUP BY imei)
