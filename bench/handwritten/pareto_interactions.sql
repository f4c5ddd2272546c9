-- Contacts with equally many events are told apart by nothing that counts, so they are one row: windows over few rows a
-- subscriber take the place of one over all contacts.
WITH alike AS (
    SELECT msisdn, events, count(*) AS contacts
    FROM (SELECT msisdn, msisdn_counterpart, count(*) AS events FROM read_parquet($calls_0_7, hive_partitioning = true, hive_types = {'day': DATE}) GROUP BY msisdn, msisdn_counterpart)
    GROUP BY msisdn, events
), summed AS (
    SELECT
        msisdn, events,
        ceil(sum(events * contacts) OVER (PARTITION BY msisdn) * 0.8 - 1e-9)::BIGINT AS target,
        (sum(contacts) OVER (PARTITION BY msisdn))::BIGINT AS everyone,
        (sum(events * contacts) OVER most)::BIGINT AS events_upto, (sum(contacts) OVER most)::BIGINT AS contacts_upto,
        events * contacts AS these
    FROM alike
    WINDOW most AS (PARTITION BY msisdn ORDER BY events DESC ROWS UNBOUNDED PRECEDING)
)
SELECT msisdn AS subscriber, (contacts_upto - (events_upto - target) // events) / everyone AS value
FROM summed
WHERE events_upto - these < target AND target <= events_upto
ORDER BY subscriber
