-- calls: The median duration.
quantile_cont(duration, 0.5)
