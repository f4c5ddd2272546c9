-- all, transactions: Different cells; none at all counts as one.
count(DISTINCT location_id) + coalesce(max((location_id IS NULL)::INT), 0)
