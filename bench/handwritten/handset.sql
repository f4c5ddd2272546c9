-- Brands are few: each is a number, the one that sorts first the greatest, so that one integer a subscriber and brand tells
-- how common it is and breaks ties.
WITH brands AS (
    SELECT id AS tac, brand, dense_rank() OVER (ORDER BY brand DESC) AS number
    FROM read_parquet($tacs) WHERE brand IS NOT NULL
), used AS (
    SELECT msisdn, number, count(*) AS events
    FROM read_parquet($calls_0_7, hive_partitioning = true, hive_types = {'day': DATE}) JOIN brands USING (tac)
    GROUP BY msisdn, number
), commonest AS (
    SELECT msisdn, max(events << 20 | number) & 1048575 AS number FROM used GROUP BY msisdn
)
SELECT msisdn AS subscriber, brand AS value
FROM commonest JOIN (SELECT DISTINCT number, brand FROM brands) USING (number)
ORDER BY subscriber
