-- all: The most subscribers on one SIM card.
SELECT max(subscribers)
FROM (SELECT count(DISTINCT msisdn) AS subscribers FROM day WHERE imsi IS NOT NULL GROUP BY imsi)
