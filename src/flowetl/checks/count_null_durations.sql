-- calls: Rows without a duration.
count(*) - count(duration)
