-- all, transactions: The earliest event.
min(datetime)
