-- all: Rows without a cell.
count(*) - count(location_id)
