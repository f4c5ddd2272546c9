-- transactions: The amounts of all rows together; each party's row counts.
round(sum(amount), 4)
