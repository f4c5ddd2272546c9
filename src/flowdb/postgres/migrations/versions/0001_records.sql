-- Mobile money.
CREATE SCHEMA dfs;

CREATE TABLE dfs.transaction_types (
    id SERIAL PRIMARY KEY,
    descr TEXT,
    user_type_a_party TEXT,
    user_type_b_party TEXT
);
CREATE TABLE dfs.transactions (
    id BIGSERIAL PRIMARY KEY,
    amount NUMERIC(14, 4),
    discount NUMERIC(14, 4),
    fee NUMERIC(14, 4),
    commission NUMERIC(14, 4),
    transtype_id INTEGER REFERENCES dfs.transaction_types (id),
    timestamp TIMESTAMPTZ
);
CREATE TABLE dfs.subscribers (
    id BIGSERIAL PRIMARY KEY,
    msisdn TEXT COLLATE "C"
);
-- Two rows a transaction, one a party.
CREATE TABLE dfs.transactions_metadata (
    transaction_id BIGINT REFERENCES dfs.transactions (id),
    subscriber_id BIGINT REFERENCES dfs.subscribers (id),
    cell_id TEXT COLLATE "C",
    cell_version INTEGER,
    is_outgoing BOOLEAN,
    FOREIGN KEY (cell_id, cell_version) REFERENCES infrastructure.cells (id, version)
);
CREATE INDEX ON dfs.transactions_metadata (transaction_id);
CREATE INDEX ON dfs.transactions_metadata (subscriber_id);

-- Stored results.
CREATE SCHEMA cache;

CREATE TABLE cache.cached (
    query_id VARCHAR PRIMARY KEY,
    version VARCHAR,
    query TEXT,
    created TIMESTAMPTZ,
    last_accessed TIMESTAMPTZ,
    access_count INTEGER,
    compute_time NUMERIC,
    cache_score_multiplier NUMERIC,
    class VARCHAR,
    schema VARCHAR,
    tablename VARCHAR,
    obj BYTEA
);
CREATE TABLE cache.dependencies (
    query_id VARCHAR REFERENCES cache.cached (query_id) ON DELETE CASCADE,
    depends_on VARCHAR REFERENCES cache.cached (query_id) ON DELETE CASCADE,
    PRIMARY KEY (query_id, depends_on)
);
CREATE TABLE cache.cache_config (
    key TEXT PRIMARY KEY,
    value TEXT
);
INSERT INTO cache.cache_config VALUES
    ('half_life', '1000'),
    ('cache_size', '10737418240'),
    ('cache_protected_period', '86400');
CREATE SEQUENCE cache.cache_touches;

-- Which days are in, and what the checks said.
CREATE SCHEMA etl;

CREATE TABLE etl.etl_records (
    id SERIAL PRIMARY KEY,
    cdr_type VARCHAR,
    cdr_date DATE,
    state VARCHAR,
    timestamp TIMESTAMPTZ DEFAULT clock_timestamp()
);
CREATE INDEX ON etl.etl_records (cdr_type, cdr_date, timestamp DESC, id DESC);
CREATE TABLE etl.post_etl_queries (
    id SERIAL PRIMARY KEY,
    cdr_date DATE,
    cdr_type TEXT,
    type_of_query_or_check TEXT,
    outcome TEXT,
    optional_comment_or_description TEXT,
    timestamp TIMESTAMPTZ DEFAULT clock_timestamp()
);
CREATE INDEX ON etl.post_etl_queries (cdr_date, cdr_type, type_of_query_or_check);

-- Two records of one instant: the later written one holds.
CREATE VIEW etl.ingested_state AS
SELECT DISTINCT ON (cdr_type, cdr_date) cdr_type, cdr_date, state, timestamp
FROM etl.etl_records
ORDER BY cdr_type, cdr_date, timestamp DESC, id DESC;

CREATE VIEW etl.available_dates AS
SELECT cdr_type, cdr_date FROM etl.ingested_state WHERE state = 'ingested';

CREATE VIEW etl.deduped_post_etl_queries AS
SELECT DISTINCT ON (cdr_date, cdr_type, type_of_query_or_check)
    id, cdr_date, cdr_type, type_of_query_or_check, outcome, optional_comment_or_description, timestamp
FROM etl.post_etl_queries AS checks
WHERE EXISTS (
    SELECT FROM etl.available_dates AS available
    WHERE available.cdr_type = checks.cdr_type AND available.cdr_date = checks.cdr_date
)
ORDER BY cdr_date, cdr_type, type_of_query_or_check, timestamp DESC, id DESC;

-- What the database says of itself.
CREATE TABLE public.flowdb_version (
    version TEXT PRIMARY KEY,
    release_date DATE,
    updated BOOLEAN
);
-- The FlowKit release whose schema this is; its programs look here.
INSERT INTO public.flowdb_version VALUES ('1.34.0', '2025-10-15', FALSE);
CREATE TABLE public.location_table (
    location_table TEXT PRIMARY KEY,
    changed BOOLEAN
);
INSERT INTO public.location_table VALUES ('infrastructure.cells', FALSE);
CREATE TABLE public.available_tables (
    table_name TEXT PRIMARY KEY,
    has_locations BOOLEAN DEFAULT FALSE,
    has_subscribers BOOLEAN DEFAULT FALSE,
    has_counterparts BOOLEAN DEFAULT FALSE
);
