-- transactions: Different transactions.
count(DISTINCT id)
