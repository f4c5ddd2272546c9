-- What meaningful locations need: where sites stand, boundaries as edges, and the clustering of sites.

-- Filled by the next copy: rows that lack their site would be in no cluster.
DELETE FROM flowdb.cell_positions;
DELETE FROM flowdb.copied_reference WHERE name = 'cell_positions';
ALTER TABLE flowdb.cell_positions
ADD COLUMN site INTEGER NOT NULL,
ADD COLUMN site_lon DOUBLE PRECISION NOT NULL,
ADD COLUMN site_lat DOUBLE PRECISION NOT NULL;

CREATE TABLE flowdb.unit_edges (
    unit TEXT COLLATE "C" NOT NULL,
    place INTEGER NOT NULL,
    band INTEGER NOT NULL,
    lon1 DOUBLE PRECISION NOT NULL,
    lat1 DOUBLE PRECISION NOT NULL,
    lon2 DOUBLE PRECISION NOT NULL,
    lat2 DOUBLE PRECISION NOT NULL
);
CREATE INDEX ON flowdb.unit_edges (unit, band);

-- Geodesic distance on WGS84 in m by Lambert's formula, as on the other engines: within 0.01 % of the geodesic.
CREATE FUNCTION flowdb.distance(
    lon1 DOUBLE PRECISION, lat1 DOUBLE PRECISION, lon2 DOUBLE PRECISION, lat2 DOUBLE PRECISION
) RETURNS DOUBLE PRECISION
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    f CONSTANT DOUBLE PRECISION := 1 / 298.257223563;
    b1 DOUBLE PRECISION := atan((1 - f) * tan(radians(lat1)));
    b2 DOUBLE PRECISION := atan((1 - f) * tan(radians(lat2)));
    p DOUBLE PRECISION := (b1 + b2) / 2;
    q DOUBLE PRECISION := (b2 - b1) / 2;
    half DOUBLE PRECISION := asin(sqrt(least(
        sin(q) * sin(q) + cos(b1) * cos(b2) * power(sin(radians(lon2 - lon1) / 2), 2), 1
    )));
    angle DOUBLE PRECISION := 2 * half;
    x DOUBLE PRECISION := (angle - sin(angle)) * power(sin(p) * cos(q), 2) / nullif(power(cos(half), 2), 0);
    y DOUBLE PRECISION := (angle + sin(angle)) * power(cos(p) * sin(q), 2) / nullif(power(sin(half), 2), 0);
BEGIN
    RETURN coalesce(6378137 * (angle - f / 2 * (x + y)), 0);
END $$;

-- The state: the number of the cluster that the last site joined, then weight, longitude and latitude of each.
CREATE FUNCTION flowdb.hartigan_join(
    state DOUBLE PRECISION [], days BIGINT, lon DOUBLE PRECISION, lat DOUBLE PRECISION, radius DOUBLE PRECISION
) RETURNS DOUBLE PRECISION []
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    clusters INTEGER := cardinality(state) / 3;
    weight DOUBLE PRECISION;
BEGIN
    FOR n IN 0..clusters - 1 LOOP
        -- A degree of latitude is longer than 110 km: most clusters are too far by this alone.
        IF abs(state[3 * n + 4] - lat) * 110000 < radius
            AND flowdb.distance(state[3 * n + 3], state[3 * n + 4], lon, lat) < radius
        THEN
            weight := state[3 * n + 2];
            state[3 * n + 2] := weight + days;
            state[3 * n + 3] := (state[3 * n + 3] * weight + lon * days) / (weight + days);
            state[3 * n + 4] := (state[3 * n + 4] * weight + lat * days) / (weight + days);
            state[1] := n;
            RETURN state;
        END IF;
    END LOOP;
    state[1] := clusters;
    RETURN state || ARRAY[days, lon, lat];
END $$;

CREATE FUNCTION flowdb.hartigan_joined(state DOUBLE PRECISION []) RETURNS INTEGER
LANGUAGE sql IMMUTABLE AS $$ SELECT state[1]::INTEGER $$;

-- Over a window of a subscriber's sites, heaviest first: the number of the cluster that each site joins. A site joins
-- the first cluster whose centre is nearer than the radius (m), and moves it by its weight; else it founds a cluster.
CREATE AGGREGATE flowdb.hartigan (BIGINT, DOUBLE PRECISION, DOUBLE PRECISION, DOUBLE PRECISION) (
    SFUNC = flowdb.hartigan_join,
    STYPE = DOUBLE PRECISION [],
    INITCOND = '{0}',
    FINALFUNC = flowdb.hartigan_joined
);
