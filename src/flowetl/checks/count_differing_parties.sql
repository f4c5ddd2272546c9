-- transactions: Transactions whose parties' rows tell different amounts or times.
SELECT count(*)
FROM (
    SELECT id FROM day GROUP BY id
    HAVING count(DISTINCT (datetime, amount, discount, fee, commission)) > 1
)
