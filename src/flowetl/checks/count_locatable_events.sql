-- all, transactions: Rows at a cell that stood at a known place that day.
count(*) FILTER (located)
