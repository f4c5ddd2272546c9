-- all: Rows without a handset.
count(*) - count(imei)
