-- all, transactions: Rows stored.
count(*)
