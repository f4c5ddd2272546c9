-- all, transactions: The latest event.
max(datetime)
