-- paired: Rows without a counterpart.
count(*) - count(msisdn_counterpart)
