-- mds, topups, transactions: Different subscribers.
count(DISTINCT msisdn)
