"""Rows in, rows out: small worlds for tests of query kinds, ours and plugins'.

>>> world = World(
...     cells=[Cell("a", pcods={"admin1": "N"}), Cell("b", pcods={"admin1": "S"})],
...     events=[Event("calls", 1, "2016-01-01T08:00", "a"), Event("calls", 1, "2016-01-01T09:00", "b")],
... )
>>> session = world.session(tmp_path / "lake")
>>> rows(session.run(DailyLocation(date="2016-01-01", aggregation_unit="admin1", method="last")))
"""

import datetime as dt
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from flowdb.lake import Lake, arrow_schema
from flowdb.reference.edges import unit_edges
from flowdb.reference.settling import sited
from flowdb.tables import CELL_POSITIONS, DAILY, POINTS, REFERENCE, SITES, TACS, stored_columns
from flowmachine.session import Session, connect

EVER = dt.date(1, 1, 1), dt.date(9999, 12, 31)


@dataclass(frozen=True)
class Event:
    """One row of an event table; `at` is local time."""

    event_type: str
    subscriber: int
    at: str | dt.datetime
    cell: str | None
    counterpart: int | None = None
    outgoing: bool | None = None
    id: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    """Further columns, by name."""

    @property
    def local(self) -> dt.datetime:
        """The local time."""
        return dt.datetime.fromisoformat(self.at) if isinstance(self.at, str) else self.at


@dataclass(frozen=True)
class Cell:
    """One version of a cell: where it stands, which unit of each level it lies in, and when that holds."""

    id: str
    version: int = 0
    lon: float = 0.0
    lat: float = 0.0
    pcods: Mapping[str, str] = field(default_factory=dict)
    first_day: dt.date = EVER[0]
    last_day: dt.date = EVER[1]
    site: str | None = None
    mapped: Mapping[str, Mapping[str, tuple[Any, ...]]] = field(default_factory=dict)
    """By mapping, as `cell_units` names it, and unit: the place that custom tables give it."""

    def place(self, unit: str, mapping: str | None = None) -> tuple[Any, ...] | None:
        """The key of the cell's place in a unit: (pcod,), (location_id,), (site_id,) or (lon, lat); None for none."""
        if mapping is not None:
            return self.mapped.get(mapping, {}).get(unit)
        if unit == "lon-lat":
            return self.lon, self.lat
        code = {"cell": self.id, "site": self.site}.get(unit, self.pcods.get(unit))
        return None if code is None else (code,)


@dataclass(frozen=True)
class World:
    """Events and cells, small enough to think about."""

    events: Sequence[Event]
    cells: Sequence[Cell]
    timezone: str = "UTC"
    empty_days: Sequence[tuple[str, dt.date]] = ()
    """Days that were delivered, without an event."""
    tacs: Sequence[Mapping[str, Any]] = ()
    """Handset models: columns of `tacs` by name, `id` among them."""
    boundaries: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By level and code: the polygon of a unit, as well-known text; only centres of clusters are placed by it."""

    def places(self, unit: str) -> list[tuple[Any, ...]]:
        """The places of a unit, in the order of their numbers: (pcod,), (location_id,), (site_id,) or (lon, lat)."""
        codes = {p for c in self.cells for m in (None, *c.mapped) if (p := c.place(unit, m)) is not None}
        return sorted(codes | {(code,) for code in self.boundaries.get(unit, ())})

    def lake(self, path: Path) -> Lake:
        """The world as a lake in a new directory."""
        # Worlds often have the same days without events, which take longer to publish than to copy.
        shutil.copytree(_without_events(self.timezone, tuple(self.empty_days)).name, path, dirs_exist_ok=True)
        lake = Lake.open(path)
        days: dict[tuple[str, dt.date], list[dict[str, Any]]] = {}
        for event in sorted(self.events, key=lambda e: (e.subscriber, self._instant(e))):
            days.setdefault((event.event_type, event.local.date()), []).append(self._row(event))
        _publish(lake, days)
        for name, rows in self._reference().items():
            schema = arrow_schema(REFERENCE[name].columns)
            lake.replace_reference(name, pa.Table.from_pylist(rows, schema=schema))
        return lake

    def session(self, path: Path, **options: Any) -> Session:
        """A session on the world, in a new directory."""
        return connect(self.lake(path).path, **options)

    def _instant(self, event: Event) -> dt.datetime:
        return event.local.replace(tzinfo=ZoneInfo(self.timezone)).astimezone(dt.UTC)

    def _row(self, event: Event) -> dict[str, Any]:
        local = event.local
        row = {
            "id": event.id,
            "outgoing": event.outgoing,
            "datetime": self._instant(event),
            "msisdn": event.subscriber,
            "msisdn_counterpart": event.counterpart,
            "location_id": event.cell,
            "minute": local.hour * 60 + local.minute,
            **event.values,
        }
        return {c.name: row.get(c.name) for c in (*DAILY[event.event_type], *stored_columns(event.event_type)[-2:-1])}

    def _reference(self) -> dict[str, list[dict[str, Any]]]:
        in_levels = (u for c in self.cells for at in (c.pcods, *c.mapped.values()) for u in at)
        units = sorted({*POINTS, *in_levels, *self.boundaries})
        numbers = {u: {place: n for n, place in enumerate(self.places(u))} for u in units}
        stands = {(unit, c.place(unit)): {"lon": c.lon, "lat": c.lat} for unit in POINTS for c in self.cells}
        places = [
            {"unit": unit, "place": n, "pcod": place[0]} | stands.get((unit, place), {})
            for unit in units
            for place, n in numbers[unit].items()
            if unit != "lon-lat"
        ]
        places += [{"unit": "lon-lat", "place": n, "lon": p[0], "lat": p[1]} for p, n in numbers["lon-lat"].items()]
        versions = [
            (c, {"location_id": c.id, "version": c.version, "first_day": c.first_day, "last_day": c.last_day})
            for c in self.cells
        ]
        cell_units = [
            {"unit": unit, "mapping": mapping, "place": numbers[unit][place], **validity}
            for c, validity in versions
            for unit in units
            for mapping in (None, *c.mapped)
            if (place := c.place(unit, mapping)) is not None
        ]
        positions = [{**validity, "site_id": c.site, "lon": c.lon, "lat": c.lat} for c, validity in versions]
        positions.sort(key=lambda p: (p["location_id"], p["version"]))
        schema = arrow_schema(tuple(c for c in CELL_POSITIONS if not c.name.startswith("site") or c.name == "site_id"))
        positions = sited(pa.Table.from_pylist(positions, schema), arrow_schema(SITES.columns).empty_table())
        cells = [
            {
                "id": c.id,
                "version": c.version,
                "site_id": c.site,
                "longitude": c.lon,
                "latitude": c.lat,
                "date_of_first_service": None if c.first_day == EVER[0] else c.first_day,
                "date_of_last_service": None if c.last_day == EVER[1] else c.last_day,
            }
            for c in self.cells
        ]
        return {
            "places": places,
            "cell_units": cell_units,
            "cell_positions": positions.to_pylist(),
            "unit_edges": [edge for unit in self.boundaries for edge in self._edges(unit, numbers[unit])],
            "cells": cells,
            "tacs": [{**dict.fromkeys(TACS.names), **row} for row in self.tacs],
        }

    def _edges(self, unit: str, numbers: Mapping[tuple[Any, ...], int]) -> Iterator[dict[str, Any]]:
        codes = sorted(self.boundaries[unit])
        shapes = [shapely.from_wkt(self.boundaries[unit][code]).wkb for code in codes]
        for edge in unit_edges(pa.table({"unit": [unit] * len(codes), "pcod": codes, "geom": shapes})).to_pylist():
            yield {**edge, "place": numbers[codes[edge["place"]],]}


@cache
def _without_events(timezone: str, days: tuple[tuple[str, dt.date], ...]) -> TemporaryDirectory[str]:
    """A lake with days that were delivered without an event; it lasts as long as the process."""
    directory = TemporaryDirectory(prefix="flowmachine-testing-")
    _publish(Lake.create(Path(directory.name), timezone), {day: [] for day in days})
    return directory


def _publish(lake: Lake, days: Mapping[tuple[str, dt.date], Sequence[Mapping[str, Any]]]) -> None:
    by_type: dict[str, dict[dt.date, Sequence[Mapping[str, Any]]]] = {}
    for (event_type, day), rows in sorted(days.items()):
        by_type.setdefault(event_type, {})[day] = rows
    for event_type, of_type in by_type.items():
        schema = arrow_schema(tuple(c for c in stored_columns(event_type) if c.name != "day"))
        staged = {day: [lake.stage(event_type, day)] for day in of_type}
        for day, rows in of_type.items():
            pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), staged[day][0])
        facts = {day: {"rows": len(rows)} for day, rows in of_type.items()}
        lake.commit_days(event_type, staged, facts, _settling().cursor())


@cache
def _settling() -> duckdb.DuckDBPyConnection:
    """One engine settles the days of all worlds: starting one takes longer than a day."""
    return duckdb.connect(config={"threads": 1})


def rows(table: pa.Table) -> list[tuple[Any, ...]]:
    """A result's rows as tuples, lists in them too; instants have a fixed offset, that of the deployment's zone then.

    Python takes no local time that is repeated for equal to a time of another zone, unless its offset is fixed.
    """
    columns = [column.to_pylist() for column in table.columns]
    for n, kind in enumerate(table.schema.types):
        if pa.types.is_list(kind):
            columns[n] = [None if value is None else tuple(value) for value in columns[n]]
        elif pa.types.is_timestamp(kind):
            columns[n] = [None if value is None else _fixed(value) for value in columns[n]]
    return list(zip(*columns, strict=True))


def _fixed(moment: dt.datetime) -> dt.datetime:
    offset = moment.utcoffset()
    return moment if offset is None else moment.replace(tzinfo=dt.timezone(offset), fold=0)
