-- paired: Different subscribers of the network that called or wrote.
count(DISTINCT msisdn) FILTER (outgoing)
