-- single, transactions: Different subscribers.
count(DISTINCT msisdn)
