-- all: Different SIM cards.
count(DISTINCT imsi)
