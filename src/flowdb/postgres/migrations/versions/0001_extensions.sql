-- PostGIS is asked for by name before this runs, so that its absence is told in a sentence.
CREATE EXTENSION IF NOT EXISTS postgis;

-- The rest is taken where the server has it and lets us.
DO $$
DECLARE
    wanted TEXT;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['tsm_system_rows', 'fuzzystrmatch', 'uuid-ossp', 'pgrouting', 'postgis_raster'] LOOP
        IF EXISTS (SELECT FROM pg_available_extensions WHERE name = wanted) THEN
            BEGIN
                EXECUTE format('CREATE EXTENSION IF NOT EXISTS %I', wanted);
            EXCEPTION WHEN insufficient_privilege THEN
                RAISE NOTICE 'Left out the extension %: its creation needs more rights.', wanted;
            END;
        END IF;
    END LOOP;
END $$;
