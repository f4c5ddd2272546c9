-- all, transactions: Rows too many: further occurrences of a row, whatever their id.
count(*) - count(DISTINCT row_hash)
