-- paired: Different subscribers, counterparts included.
SELECT count(*)
FROM (
  SELECT msisdn FROM day
  UNION
  SELECT msisdn_counterpart FROM day WHERE msisdn_counterpart IS NOT NULL
)
