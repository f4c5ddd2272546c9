"""GeoJSON: released rows as features, and the boundaries of their locations.

Every feature is one JSON text in the string column `feature`. Columns are written as a whole by Arrow, without a
loop over rows. Coordinates are rounded to six decimals of a degree, about 0.1 m.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute
import shapely

from flowdb.lake import Snapshot
from flowdb.tables import POINTS
from flowmachine.building.places import cells_in
from flowmachine.building.plan import Statement
from flowmachine.building.tables import Tables
from flowmachine.engines import Engine
from flowmachine.questions.columns import L, location_columns
from flowmachine.questions.query import Query

BATCH_BYTES = 4_000_000
"""About how much text of features a batch has."""
DECIMALS = 6

# Arrow creates its functions at import, which type checkers do not see.
pc: Any = pyarrow.compute

SCHEMA = pa.schema([("feature", pa.string())])
_NULL = "null"
LABEL = "value_label"
"""The column of labels of labelled flows."""


@dataclass(frozen=True)
class Places:
    """The places of a level in the order of their codes, as they are written to GeoJSON."""

    rows: pa.Table
    """The location columns of the level, and `name`."""
    keys: pa.StringArray
    """The key of each place: its code, or `lon,lat`."""
    geometry: pa.StringArray
    centroid: pa.StringArray
    """A point inside the place, for its label."""


class Atlas:
    """The places of a store's levels; the latest version of each level is cached."""

    def __init__(self, engine: Engine, timezone: str) -> None:
        self._engine = engine
        self._timezone = timezone
        self._lock = threading.Lock()
        self._places: dict[tuple[str, bool], tuple[str, Places]] = {}

    def places(self, unit: str, snapshot: Snapshot, *, own: bool = False) -> Places:
        """The places of a level; of lon-lat with `own`, only those of cells of the network's own table."""
        version, key = snapshot.reference_versions(), (unit, own and unit == "lon-lat")
        with self._lock:
            if key not in self._places or self._places[key][0] != version:
                self._places[key] = version, self._read(*key, snapshot)
            return self._places[key][1]

    def _read(self, unit: str, own: bool, snapshot: Snapshot) -> Places:
        tables = Tables(self._engine.dialect, self._timezone)
        places = tables.reference("places")
        places = places.filter(places.unit == unit)
        if own:
            places = places.semi_join(cells_in(tables, unit), "place")
        if unit in POINTS:
            types = {"place": pa.int32(), "pcod": pa.string(), "lon": pa.float64(), "lat": pa.float64()}
            rows = self._rows(tables, places.select(*types), types, snapshot).sort_by("place")
            points = _points(rows, "lon", "lat")
            (code, *_), name = location_columns(unit), pa.nulls(rows.num_rows, pa.string())
            located = rows.select(["lon", "lat"]) if unit == "lon-lat" else rows.select(["pcod"]).rename_columns([code])
            return Places(located.append_column("name", name), _keys(located, unit), points, points)
        units = tables.boundaries(unit)
        types = {
            "pcod": pa.string(),
            "name": pa.string(),
            "geom": pa.binary(),
            "longitude": pa.float64(),
            "latitude": pa.float64(),
        }
        # Every place of the level, with a boundary or without one.
        joined = places.select("pcod").left_join(units, "pcod").select(*types)
        rows = self._rows(tables, joined, types, snapshot).sort_by("pcod")
        shapes = shapely.from_wkb(rows["geom"].to_numpy(zero_copy_only=False))
        geometry = _texts([None if s is None else shapely.to_geojson(_rounded(s)) for s in shapes])
        return Places(
            rows.select(["pcod", "name"]),
            _keys(rows, unit),
            geometry,
            _points(rows, "longitude", "latitude"),
        )

    def _rows(self, tables: Tables, rows: ir.Table, types: dict[str, pa.DataType], snapshot: Snapshot) -> pa.Table:
        statement = Statement(expression=rows, schema=pa.schema(list(types.items())), sources=tables.sources)
        return self._engine.run(statement, snapshot).combine_chunks()


def has_geometry(query: Query) -> bool:
    """Whether a query's rows are of locations."""
    return L in query.columns.values()


def is_flow(query: Query) -> bool:
    """Whether a query's rows are of pairs of locations."""
    return "location_from" in query.columns


def batches(rows: pa.Table, query: Query, places: Places) -> list[tuple[int, int]]:
    """Where to cut features so that none of the batches is much larger than BATCH_BYTES.

    Cuts are positions among the rows; for flows, among the locations of `meeting_points`. There is always a batch.
    """
    each = pc.fill_null(pc.binary_length(places.geometry), 4).to_numpy(zero_copy_only=False).astype("int64")
    each = np.append(each, 4)
    if is_flow(query):
        points, _ = meeting_points(rows, query)
        keys = _keys(points, query.unit)
        sizes = 300 + each[_positions(keys, places)]
        for side in ("_from", "_to"):
            index = pc.index_in(_keys(rows, query.unit, side), value_set=keys)
            sizes = sizes + 40 * np.bincount(index.to_numpy(zero_copy_only=False), minlength=len(keys))
    else:
        sizes = 200 + 40 * rows.num_columns + each[_positions(_keys(rows, query.unit), places)]
    return _cut(sizes)


def boundary_batches(places: Places) -> list[tuple[int, int]]:
    """Where to cut the boundaries of a level."""
    return _cut(300 + pc.fill_null(pc.binary_length(places.geometry), 4).to_numpy(zero_copy_only=False).astype("int64"))


def features(rows: pa.Table, query: Query, places: Places, *, first: int = 0) -> pa.RecordBatch:
    """One feature a row: its columns and the location's centroid as properties; ids count up from `first` + 1.

    A row without a location has no geometry.
    """
    names = [name for name in rows.column_names if name != "geom"]
    position = _positions(_keys(rows, query.unit), places)
    properties = {name: _json(rows[name]) for name in names}
    return _written(position, places, properties, first)


def flow_features(rows: pa.Table, query: Query, places: Places, *, start: int, stop: int) -> pa.RecordBatch:
    """One feature a location, of those from `start` to before `stop`: `inflows` and `outflows` as {other: value}.

    The other location is named by its code, or by `lon,lat`; one that is missing by an empty text. Of labelled flows
    they are {label: {other: value}}, with a missing label an empty text.
    """
    every, _ = meeting_points(rows, query)
    points = every.slice(start, stop - start)
    keys = _keys(points, query.unit)
    properties = {name: _json(points[name]) for name in points.column_names}
    for name, own, other in (("inflows", "_to", "_from"), ("outflows", "_from", "_to")):
        properties[name] = _objects(rows, query.unit, keys, own, other)
    return _written(_positions(keys, places), places, properties, start)


def boundary_features(places: Places, *, start: int, stop: int) -> pa.RecordBatch:
    """One feature a place of a level, of those from `start` to before `stop`: its code, name and centroid."""
    rows = places.rows.slice(start, stop - start)
    properties = {name: _json(rows[name]) for name in rows.column_names}
    return _written(np.arange(start, start + rows.num_rows), places, properties, start)


def all_features(rows: pa.Table, query: Query, places: Places) -> Iterator[pa.RecordBatch]:
    """The features of a whole result, batch by batch."""
    for start, stop in batches(rows, query, places):
        yield feature_batch(rows, query, places, start, stop)


def feature_batch(rows: pa.Table, query: Query, places: Places, start: int, stop: int) -> pa.RecordBatch:
    """One batch of the features of a whole result, as `batches` cuts them."""
    if is_flow(query):
        return flow_features(rows, query, places, start=start, stop=stop)
    return features(rows.slice(start, stop - start), query, places, first=start)


def meeting_points(rows: pa.Table, query: Query) -> tuple[pa.Table, list[str]]:
    """The locations that flows start or end at, in order, the missing one last; and their columns."""
    names = list(location_columns(query.unit))
    sides = [rows.select([f"{name}{side}" for name in names]).rename_columns(names) for side in ("_from", "_to")]
    distinct = pa.concat_tables(sides).group_by(names).aggregate([])
    return distinct.sort_by([(name, "ascending") for name in names]), names


def _objects(rows: pa.Table, unit: str | None, keys: pa.StringArray, own: str, other: str) -> pa.StringArray:
    """For each key, the JSON object of the other ends of its flows and their values; by label, if they have one."""
    levels = {"other": _keys(rows, unit, other)}
    if LABEL in rows.column_names:
        levels = {"label": pc.fill_null(_one(rows[LABEL]), ""), **levels}
    index = pc.index_in(_keys(rows, unit, own), value_set=keys)
    mine = pa.table({"index": index, **levels, "value": rows["value"].combine_chunks()}).filter(pc.is_valid(index))
    mine = mine.sort_by([(name, "ascending") for name in ("index", *levels)]).combine_chunks()
    entries = pc.binary_join_element_wise(_quoted(mine["other"]), _json(mine["value"]), ":")
    if LABEL in rows.column_names:
        labelled = mine.select(["index", "label"])
        mine = labelled.group_by(["index", "label"], use_threads=False).aggregate([([], "count_all")])
        inner = _wrapped(entries, mine["count_all"].to_numpy())
        entries = pc.binary_join_element_wise(_quoted(mine["label"]), inner, ":")
    return _wrapped(entries, np.bincount(mine["index"].to_numpy(), minlength=len(keys)))


def _wrapped(entries: pa.StringArray | pa.ChunkedArray, counts: np.ndarray) -> pa.StringArray:
    """JSON objects of the next `counts` entries each."""
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    lists = pa.ListArray.from_arrays(offsets, _one(entries))
    return pc.binary_join_element_wise("{", pc.binary_join(lists, ","), "}", "")


def _written(position: np.ndarray, places: Places, properties: dict[str, pa.StringArray], first: int) -> pa.RecordBatch:
    rows = len(position)
    where = pa.array(position, pa.int64(), mask=position < 0)
    ids = pa.array(range(first + 1, first + 1 + rows), pa.int64()).cast(pa.string())
    members = {**properties, "centroid": pc.fill_null(places.centroid.take(where), _NULL)}
    geometry = pc.fill_null(places.geometry.take(where), _NULL)
    pieces: list[pa.Array | str] = ['{"type":"Feature","id":', ids, ',"geometry":', geometry, ',"properties":']
    for n, (name, texts) in enumerate(members.items()):
        pieces += [("," if n else "{") + json.dumps(name) + ":", texts]
    return pa.RecordBatch.from_arrays([pc.binary_join_element_wise(*pieces, "}}", "")], schema=SCHEMA)


def _positions(keys: pa.StringArray, places: Places) -> np.ndarray:
    """The index of each key among the places; -1 if it is not among them."""
    return pc.fill_null(pc.index_in(keys, value_set=places.keys), -1).to_numpy(zero_copy_only=False).astype("int64")


def _keys(rows: pa.Table, unit: str | None, side: str = "") -> pa.StringArray:
    columns = [rows[f"{name}{side}"] for name in location_columns(unit)]
    texts = [_one(column if pa.types.is_string(column.type) else column.cast(pa.string())) for column in columns]
    joined = pc.binary_join_element_wise(*texts, ",") if len(texts) > 1 else texts[0]
    return pc.fill_null(joined, "")


def _points(rows: pa.Table, lon: str, lat: str) -> pa.StringArray:
    x, y = (pc.round(_one(rows[name]), DECIMALS).cast(pa.string()) for name in (lon, lat))
    return pc.binary_join_element_wise('{"type":"Point","coordinates":[', x, ",", y, "]}", "")


def _rounded(shape: shapely.Geometry) -> shapely.Geometry:
    return shapely.transform(shape, lambda points: np.round(points, DECIMALS))


def _json(column: pa.ChunkedArray | pa.Array) -> pa.StringArray:
    """A column's values as JSON; missing values, and floats that JSON lacks, are null."""
    values = _one(column)
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_finite(values), values, pa.scalar(None, values.type))
    if pa.types.is_floating(values.type) or pa.types.is_integer(values.type):
        return pc.fill_null(values.cast(pa.string()), _NULL)
    if pa.types.is_list(values.type):
        return pc.fill_null(_list(values), _NULL)
    return pc.fill_null(_quoted(values), _NULL)


def _list(values: pa.ListArray) -> pa.StringArray:
    """Lists of times as JSON."""
    texts = [None if v is None else json.dumps([time.isoformat() for time in v]) for v in values.to_pylist()]
    return _texts(texts)


def _quoted(column: pa.ChunkedArray | pa.Array) -> pa.StringArray:
    # Codes and dates repeat often: each distinct one is converted once.
    values = _one(column)
    coded = (values if pa.types.is_temporal(values.type) else values.cast(pa.string())).dictionary_encode()
    distinct = (v.isoformat() if hasattr(v, "isoformat") else v for v in coded.dictionary.to_pylist())
    return _texts([json.dumps(value) for value in distinct]).take(coded.indices)


def _texts(values: Sequence[str | None]) -> pa.StringArray:
    return pa.array(values, pa.string())


def _one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole


def _cut(sizes: np.ndarray) -> list[tuple[int, int]]:
    if not len(sizes):
        return [(0, 0)]
    number = (np.cumsum(sizes) - sizes) // BATCH_BYTES
    starts = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist()]
    return list(zip(starts, [*starts[1:], len(sizes)], strict=True))
