-- calls, sms, forwards: Different subscribers of the network.
count(DISTINCT msisdn)
