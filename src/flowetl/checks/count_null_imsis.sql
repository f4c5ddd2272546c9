-- all: Rows without a SIM card.
count(*) - count(imsi)
