-- The functions that FlowKit's programs call.
CREATE FUNCTION public.flowdb_version() RETURNS TABLE (version TEXT, release_date DATE)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS
$$ SELECT v.version, v.release_date FROM public.flowdb_version AS v $$;

CREATE FUNCTION public.available_tables()
RETURNS TABLE (table_name TEXT, has_locations BOOLEAN, has_subscribers BOOLEAN, has_counterparts BOOLEAN)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS
$$ SELECT a.table_name, a.has_locations, a.has_subscribers, a.has_counterparts FROM public.available_tables AS a $$;

CREATE FUNCTION public.location_table() RETURNS TEXT
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS
$$ SELECT l.location_table FROM public.location_table AS l LIMIT 1 $$;

CREATE FUNCTION public.cache_half_life() RETURNS DOUBLE PRECISION
LANGUAGE sql STABLE AS $$ SELECT value::DOUBLE PRECISION FROM cache.cache_config WHERE key = 'half_life' $$;

CREATE FUNCTION public.cache_max_size() RETURNS BIGINT
LANGUAGE sql STABLE AS $$ SELECT value::BIGINT FROM cache.cache_config WHERE key = 'cache_size' $$;

CREATE FUNCTION public.cache_protected_period() RETURNS INTEGER
LANGUAGE sql STABLE AS $$ SELECT value::INTEGER FROM cache.cache_config WHERE key = 'cache_protected_period' $$;

-- Bytes on disk, indexes included.
CREATE FUNCTION public.table_size(table_name TEXT, table_schema TEXT) RETURNS BIGINT
LANGUAGE sql AS $$ SELECT pg_total_relation_size(format('%I.%I', table_schema, table_name)::REGCLASS) $$;

CREATE FUNCTION public.cache_score(cache_score_multiplier NUMERIC, compute_time NUMERIC, tablesize BIGINT)
RETURNS DOUBLE PRECISION
LANGUAGE sql IMMUTABLE AS
$$ SELECT (cache_score_multiplier * (compute_time / 1000) / greatest(tablesize, 1))::DOUBLE PRECISION $$;

-- The growth is reckoned in NUMERIC: as a double it overflows after a million retrievals.
CREATE FUNCTION public.touch_cache(cached_query_id TEXT) RETURNS DOUBLE PRECISION
LANGUAGE plpgsql AS $$
DECLARE
    touches NUMERIC := nextval('cache.cache_touches');
    growth NUMERIC := 1 + ln(2::NUMERIC) / public.cache_half_life()::NUMERIC;
    score DOUBLE PRECISION;
BEGIN
    UPDATE cache.cached SET
        last_accessed = now(),
        access_count = access_count + 1,
        cache_score_multiplier = CASE
            WHEN class = 'Table' THEN 0
            ELSE cache_score_multiplier + round(power(growth, touches - 2), 20)
        END
    WHERE query_id = cached_query_id
    RETURNING public.cache_score(cache_score_multiplier, compute_time, public.table_size(tablename, schema))
    INTO score;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'There is no stored query %.', cached_query_id;
    END IF;
    RETURN score;
END $$;

-- Repeatable: the same seed gives the same numbers; the session's own random numbers go on as before.
CREATE FUNCTION public.random_ints(seed DOUBLE PRECISION, n_samples INTEGER, max_val INTEGER)
RETURNS TABLE (id INTEGER)
LANGUAGE plpgsql VOLATILE PARALLEL RESTRICTED AS $$
DECLARE
    resume DOUBLE PRECISION := random();
BEGIN
    PERFORM setseed(seed);
    RETURN QUERY SELECT i FROM generate_series(1, max_val) AS i ORDER BY random() LIMIT n_samples;
    PERFORM setseed(resume);
END $$;

-- Knuth's method, in steps of 500 so that exp() does not underflow.
CREATE FUNCTION public.random_poisson(lambda DOUBLE PRECISION DEFAULT 1) RETURNS INTEGER
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    remaining DOUBLE PRECISION := lambda;
    product DOUBLE PRECISION := 1;
    events INTEGER := -1;
BEGIN
    LOOP
        events := events + 1;
        product := product * random();
        WHILE product < 1 AND remaining > 0 LOOP
            product := product * exp(least(remaining, 500));
            remaining := remaining - least(remaining, 500);
        END LOOP;
        EXIT WHEN product <= 1;
    END LOOP;
    RETURN events;
END $$;

CREATE FUNCTION public.random_pick(choices ANYARRAY) RETURNS ANYELEMENT
LANGUAGE sql VOLATILE AS
$$ SELECT chosen FROM unnest(choices) AS chosen WHERE chosen IS NOT NULL ORDER BY random() LIMIT 1 $$;

CREATE FUNCTION public.isnumeric(value TEXT) RETURNS BOOLEAN
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    PERFORM value::NUMERIC;
    RETURN TRUE;
EXCEPTION WHEN invalid_text_representation OR numeric_value_out_of_range THEN
    RETURN FALSE;
END $$;

CREATE FUNCTION public.long_running_queries()
RETURNS TABLE (pid INTEGER, duration INTERVAL, query TEXT, state TEXT)
LANGUAGE sql STABLE AS $$
    SELECT a.pid, now() - a.query_start, a.query, a.state
    FROM pg_stat_activity AS a
    WHERE now() - a.query_start > INTERVAL '5 minutes' AND a.state <> 'idle'
$$;

CREATE FUNCTION public.median_of(gathered DOUBLE PRECISION []) RETURNS DOUBLE PRECISION
LANGUAGE sql IMMUTABLE AS $$ SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY v) FROM unnest(gathered) AS v $$;
CREATE AGGREGATE public.median (DOUBLE PRECISION) (
    SFUNC = array_append, STYPE = DOUBLE PRECISION [], INITCOND = '{}', FINALFUNC = public.median_of
);

-- Hartigan's leader clustering of a subscriber's sites, in the order in which they come: a site joins the first
-- cluster whose centre is nearer than the threshold (km), and moves it by its weight; else it founds a cluster.
-- Clusters lighter than call_threshold are dropped. With a buffer (km), a cluster is an area: round its centre, or,
-- of a single site, the site's polygon where it has one.
CREATE TYPE public.hartigan_gathered AS (
    site_ids TEXT [],
    versions INTEGER [],
    weights INTEGER [],
    threshold NUMERIC,
    buffer NUMERIC,
    call_threshold INTEGER
);
-- Members of a cluster are one text, joined by '::'.
CREATE TYPE public.hartigan_clusters AS (
    clusters GEOGRAPHY [],
    rank INTEGER [],
    weights INTEGER [],
    site_ids TEXT [],
    versions TEXT []
);

CREATE FUNCTION public.hartigan_gather(
    gathered public.HARTIGAN_GATHERED, site_id TEXT, version INTEGER, weight INTEGER,
    threshold NUMERIC, buffer NUMERIC, call_threshold INTEGER
) RETURNS public.HARTIGAN_GATHERED
LANGUAGE sql IMMUTABLE AS $$
    SELECT array_append((gathered).site_ids, site_id), array_append((gathered).versions, version),
        array_append((gathered).weights, weight), threshold, buffer, call_threshold
$$;

CREATE FUNCTION public.hartigan_cluster(gathered public.HARTIGAN_GATHERED) RETURNS public.HARTIGAN_CLUSTERS
LANGUAGE plpgsql STABLE AS $$
DECLARE
    lons DOUBLE PRECISION [] := '{}';
    lats DOUBLE PRECISION [] := '{}';
    heavy INTEGER [] := '{}';
    members TEXT [] := '{}';
    member_versions TEXT [] := '{}';
    areas GEOGRAPHY [] := '{}';
    site RECORD;
    home INTEGER;
    result public.hartigan_clusters;
BEGIN
    FOR site IN
        SELECT s.id, s.version, g.weight, ST_X(s.geom_point) AS lon, ST_Y(s.geom_point) AS lat, s.geom_polygon AS area
        FROM unnest(gathered.site_ids, gathered.versions, gathered.weights)
            WITH ORDINALITY AS g (id, version, weight, turn)
        JOIN infrastructure.sites AS s ON s.id = g.id AND s.version = g.version
        WHERE s.geom_point IS NOT NULL
        ORDER BY g.turn
    LOOP
        SELECT c.turn INTO home
        FROM unnest(lons, lats) WITH ORDINALITY AS c (lon, lat, turn)
        WHERE ST_Distance(ST_Point(c.lon, c.lat)::GEOGRAPHY, ST_Point(site.lon, site.lat)::GEOGRAPHY)
            < gathered.threshold * 1000
        ORDER BY c.turn LIMIT 1;
        IF home IS NULL THEN
            lons := lons || site.lon;
            lats := lats || site.lat;
            heavy := heavy || site.weight;
            members := members || site.id;
            member_versions := member_versions || site.version::TEXT;
            areas := array_append(areas, site.area::GEOGRAPHY);
        ELSE
            lons[home] := (lons[home] * heavy[home] + site.lon * site.weight) / (heavy[home] + site.weight);
            lats[home] := (lats[home] * heavy[home] + site.lat * site.weight) / (heavy[home] + site.weight);
            heavy[home] := heavy[home] + site.weight;
            members[home] := members[home] || '::' || site.id;
            member_versions[home] := member_versions[home] || '::' || site.version;
            areas[home] := NULL;
        END IF;
    END LOOP;
    SELECT
        array_agg(
            CASE
                WHEN gathered.buffer > 0 THEN
                    coalesce(c.area, ST_Buffer(ST_Point(c.lon, c.lat)::GEOGRAPHY, gathered.buffer * 1000))
                ELSE ST_Point(c.lon, c.lat)::GEOGRAPHY
            END
            ORDER BY c.turn
        ),
        array_agg(c.turn::INTEGER ORDER BY c.turn), array_agg(c.weight ORDER BY c.turn),
        array_agg(c.ids ORDER BY c.turn), array_agg(c.versions ORDER BY c.turn)
    INTO result
    FROM unnest(lons, lats, heavy, members, member_versions, areas)
        WITH ORDINALITY AS c (lon, lat, weight, ids, versions, area, turn)
    WHERE c.weight >= gathered.call_threshold;
    RETURN result;
END $$;

CREATE AGGREGATE public.hartigan (TEXT, INTEGER, INTEGER, NUMERIC, NUMERIC, INTEGER) (
    SFUNC = public.hartigan_gather,
    STYPE = public.HARTIGAN_GATHERED,
    INITCOND = '({},{},{},,,)',
    FINALFUNC = public.hartigan_cluster
);
