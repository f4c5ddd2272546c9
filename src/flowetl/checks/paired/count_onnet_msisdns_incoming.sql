-- paired: Different subscribers of the network that were called or written to.
count(DISTINCT msisdn) FILTER (NOT outgoing)
