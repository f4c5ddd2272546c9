-- Two roles with no more than they need. They belong to the whole server, so another FlowDB may have made them;
-- neither has a password until the deployment gives it one.
DO $$
DECLARE
    role_name TEXT;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['flowmachine', 'flowapi'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', role_name);
        END IF;
    END LOOP;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO flowmachine', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO flowapi', current_database());
END $$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- flowmachine reads everything and writes stored results only.
DO $$
DECLARE
    held TEXT;
BEGIN
    FOREACH held IN ARRAY ARRAY[
        'events', 'infrastructure', 'geography', 'dfs', 'etl', 'flowdb', 'population', 'elevation', 'routing',
        'interactions'
    ] LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO flowmachine', held);
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO flowmachine', held);
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO flowmachine', held);
    END LOOP;
END $$;
GRANT USAGE, CREATE ON SCHEMA cache TO flowmachine;
GRANT SELECT, INSERT, UPDATE, DELETE ON cache.cached, cache.dependencies TO flowmachine;
GRANT SELECT, UPDATE ON cache.cache_config TO flowmachine;
GRANT USAGE, UPDATE, SELECT ON SEQUENCE cache.cache_touches TO flowmachine;
GRANT SELECT ON public.flowdb_version, public.location_table, public.available_tables TO flowmachine;

-- flowapi reads stored results and boundaries, and nothing of a person.
GRANT USAGE ON SCHEMA cache, geography TO flowapi;
GRANT SELECT ON ALL TABLES IN SCHEMA geography TO flowapi;
ALTER DEFAULT PRIVILEGES IN SCHEMA geography GRANT SELECT ON TABLES TO flowapi;
DO $$
BEGIN
    -- Only a member of a role may say what its future tables grant.
    IF NOT pg_has_role(current_user, 'flowmachine', 'MEMBER') THEN
        EXECUTE format('GRANT flowmachine TO %I', current_user);
    END IF;
    ALTER DEFAULT PRIVILEGES FOR ROLE flowmachine IN SCHEMA cache GRANT SELECT ON TABLES TO flowapi;
END $$;

-- Stored results belong to flowmachine, whoever of its members made them. Event triggers are a superuser's.
CREATE FUNCTION cache.give_to_flowmachine() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
    made RECORD;
BEGIN
    FOR made IN
        SELECT object_identity FROM pg_event_trigger_ddl_commands()
        WHERE object_type = 'table' AND schema_name = 'cache' AND command_tag IN ('CREATE TABLE', 'CREATE TABLE AS')
    LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO flowmachine', made.object_identity);
    END LOOP;
END $$;
DO $$
BEGIN
    IF current_setting('is_superuser') = 'on' THEN
        CREATE EVENT TRIGGER trg_create_in_cache_set_owner_to_flowmachine
        ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS')
        EXECUTE FUNCTION cache.give_to_flowmachine();
    END IF;
END $$;
