-- calls: The longest duration.
max(duration)
