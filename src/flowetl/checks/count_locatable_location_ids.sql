-- all, transactions: Different cells that stood at a known place that day.
count(DISTINCT location_id) FILTER (located)
