-- Events: one table a type, one partition a local day, named <type>_<YYYYMMDD>. FlowKit's names, order and types.
-- Text sorts by bytes (collation C), as on the other engines, and compares fastest so.
CREATE SCHEMA events;

CREATE TABLE events.calls (
    id TEXT COLLATE "C",
    outgoing BOOLEAN,
    datetime TIMESTAMPTZ NOT NULL,
    duration NUMERIC,
    network TEXT COLLATE "C",
    msisdn TEXT COLLATE "C" NOT NULL,
    msisdn_counterpart TEXT COLLATE "C",
    location_id TEXT COLLATE "C",
    imsi TEXT COLLATE "C",
    imei TEXT COLLATE "C",
    tac NUMERIC(8),
    operator_code NUMERIC,
    country_code NUMERIC
) PARTITION BY RANGE (datetime);
COMMENT ON TABLE events.calls IS 'A call, one row a party.';

CREATE TABLE events.sms (
    id TEXT COLLATE "C",
    outgoing BOOLEAN,
    datetime TIMESTAMPTZ NOT NULL,
    network TEXT COLLATE "C",
    msisdn TEXT COLLATE "C" NOT NULL,
    msisdn_counterpart TEXT COLLATE "C",
    location_id TEXT COLLATE "C",
    imsi TEXT COLLATE "C",
    imei TEXT COLLATE "C",
    tac NUMERIC(8),
    operator_code NUMERIC,
    country_code NUMERIC
) PARTITION BY RANGE (datetime);
COMMENT ON TABLE events.sms IS 'A text message, one row a party.';

CREATE TABLE events.forwards (
    id TEXT COLLATE "C",
    outgoing BOOLEAN,
    datetime TIMESTAMPTZ NOT NULL,
    network TEXT COLLATE "C",
    msisdn TEXT COLLATE "C" NOT NULL,
    msisdn_counterpart TEXT COLLATE "C",
    location_id TEXT COLLATE "C",
    imsi TEXT COLLATE "C",
    imei TEXT COLLATE "C",
    tac NUMERIC(8),
    operator_code NUMERIC,
    country_code NUMERIC
) PARTITION BY RANGE (datetime);
COMMENT ON TABLE events.forwards IS 'A forwarded call, one row a party.';

CREATE TABLE events.mds (
    id TEXT COLLATE "C",
    datetime TIMESTAMPTZ NOT NULL,
    duration NUMERIC,
    volume_total NUMERIC,
    volume_upload NUMERIC,
    volume_download NUMERIC,
    msisdn TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C",
    imsi TEXT COLLATE "C",
    imei TEXT COLLATE "C",
    tac NUMERIC(8),
    operator_code NUMERIC,
    country_code NUMERIC
) PARTITION BY RANGE (datetime);
COMMENT ON TABLE events.mds IS 'A mobile data session.';

CREATE TABLE events.topups (
    id TEXT COLLATE "C",
    datetime TIMESTAMPTZ NOT NULL,
    type TEXT COLLATE "C",
    recharge_amount NUMERIC,
    airtime_fee NUMERIC,
    tax_and_fee NUMERIC,
    pre_event_balance NUMERIC,
    post_event_balance NUMERIC,
    msisdn TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C",
    imsi TEXT COLLATE "C",
    imei TEXT COLLATE "C",
    tac NUMERIC(8),
    operator_code NUMERIC,
    country_code NUMERIC
) PARTITION BY RANGE (datetime);
COMMENT ON TABLE events.topups IS 'A recharge of a subscriber''s balance.';

-- Every cell that events have named, known or not, and when.
CREATE TABLE events.location_ids (
    location_id TEXT COLLATE "C",
    cdr_type TEXT,
    first_active_date DATE,
    last_active_date DATE,
    PRIMARY KEY (location_id, cdr_type)
);
