-- paired: Different subscribers of the network.
count(DISTINCT msisdn)
