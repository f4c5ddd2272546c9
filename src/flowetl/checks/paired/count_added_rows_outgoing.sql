-- paired: Rows of the party that called or wrote.
count(*) FILTER (outgoing)
