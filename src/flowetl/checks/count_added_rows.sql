-- all: Rows stored.
count(*)
