-- calls, sms, forwards: Rows of the party that called or wrote.
count(*) FILTER (outgoing)
