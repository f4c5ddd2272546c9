-- all: Different handsets.
count(DISTINCT imei)
