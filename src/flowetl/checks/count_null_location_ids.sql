-- all, transactions: Rows without a cell.
count(*) - count(location_id)
