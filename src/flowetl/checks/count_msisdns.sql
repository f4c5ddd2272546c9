-- mds, topups: Different subscribers.
count(DISTINCT msisdn)
