-- all, transactions: Different rows that occur more than once, whatever their id.
SELECT count(*)
FROM (SELECT count(*) AS occurrences FROM day GROUP BY row_hash HAVING occurrences > 1)
