-- all: The latest event.
max(datetime)
