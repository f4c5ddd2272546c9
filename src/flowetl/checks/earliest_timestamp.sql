-- all: The earliest event.
min(datetime)
