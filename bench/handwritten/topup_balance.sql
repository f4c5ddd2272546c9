-- One window; the time after the last recharge is added where a row has none after it, so that no row is made for it.
WITH steps AS (
    SELECT
        msisdn, epoch_us(datetime) AS moment, pre_event_balance AS before, post_event_balance AS after,
        lag(epoch_us(datetime), 1, epoch_us(TIMESTAMPTZ '2016-01-01 00:00:00+00')) OVER turn AS since,
        lag(post_event_balance, 1, pre_event_balance) OVER turn AS was, lead(msisdn) OVER turn IS NULL AS latest
    FROM read_parquet($topups_0_7, hive_partitioning = true, hive_types = {'day': DATE})
    WHERE pre_event_balance IS NOT NULL AND post_event_balance IS NOT NULL
    WINDOW turn AS (PARTITION BY msisdn ORDER BY datetime, pre_event_balance, post_event_balance)
)
SELECT
    msisdn AS subscriber,
    (
        sum((before + was) / 2 * (moment - since))
        + sum(after * (epoch_us(TIMESTAMPTZ '2016-01-08 00:00:00+00') - moment)) FILTER (latest)
    ) / (epoch_us(TIMESTAMPTZ '2016-01-08 00:00:00+00') - epoch_us(TIMESTAMPTZ '2016-01-01 00:00:00+00')) AS value
FROM steps
GROUP BY msisdn
ORDER BY subscriber
