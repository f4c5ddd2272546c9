"""A small lake made by hand, for tests of what reads one."""

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from flowdb.lake import Lake, arrow_schema
from flowdb.tables import CELL_POSITIONS, CELL_UNITS, CELLS, EVENTS, GEOGRAPHY, MINUTE, PLACES, SITES, TACS, Table

FIRST = dt.date(2016, 1, 1)
EVER, STILL = dt.date(1, 1, 1), dt.date(9999, 12, 31)


def store_day(lake: Lake, event_type: str, day: dt.date, rows: int, salt: int = 0, files: int = 1) -> None:
    """Store a day of `rows` events over the whole local day, in `files` files; another `salt`, other events."""
    zone = ZoneInfo(lake.timezone)
    start = dt.datetime.combine(day, dt.time(), zone).astimezone(dt.UTC)
    stop = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), zone).astimezone(dt.UTC)
    step = (stop - start) / rows
    events = []
    for i in range(rows):
        at = start + i * step
        local = at.astimezone(zone)
        made = {
            "id": salt + i,
            "outgoing": i % 2 == 0,
            "datetime": at,
            "duration": i + 0.1,
            "volume_total": None,
            "recharge_amount": 1e20,
            "type": "" if i % 2 else None,
            "network": 'said "so", twice\n',
            "msisdn": (-1) ** i * (2**62 + i % 7),
            "msisdn_counterpart": None if i % 3 == 0 else 5,
            "location_id": None if i % 5 == 4 else f"cell{i % 5}",
            "tac": 92380772,
        }
        events.append({**made, "minute": local.hour * 60 + local.minute})
    columns = (*EVENTS[event_type].columns, MINUTE)
    schema = arrow_schema(columns)
    staged = [lake.stage(event_type, day) for _ in range(files)]
    for n, file in enumerate(staged):
        part = [{c.name: event.get(c.name) for c in columns} for event in events[n::files]]
        table = pa.Table.from_pylist(part, schema)
        pq.write_table(table.sort_by([("msisdn", "ascending"), ("datetime", "ascending")]), file)
    lake.commit_day(event_type, day, staged, {"rows": rows})


def store_reference(lake: Lake) -> None:
    """Store two units, three cell versions (one without a place), a site and a handset model."""
    west, east = shapely.box(80, 20, 85, 30), shapely.box(85, 20, 90, 30)
    _replace(
        lake,
        GEOGRAPHY,
        [
            {"gid": 1, "unit": "admin1", "pcod": "W", "name": "West", "geom": west.wkb},
            {"gid": 2, "unit": "admin1", "pcod": "E", "name": "East", "geom": shapely.MultiPolygon([east]).wkb},
            {"gid": 1, "unit": "ward", "pcod": "W1", "name": "Ward", "geom": west.wkb},
        ],
    )
    _replace(
        lake,
        CELLS,
        [
            {"id": "cell0", "version": 0, "longitude": 82.5, "latitude": 25.0, "date_of_last_service": FIRST},
            {"id": "cell0", "version": 1, "longitude": 87.5, "latitude": 25.0},
            {"id": "cell1", "version": 0, "name": "no place", "height": 12.5},
        ],
    )
    _replace(lake, SITES, [{"id": "site", "version": 0, "is_cow": True, "longitude": 82.5, "latitude": 25.0}])
    _replace(lake, TACS, [{"id": 92380772, "brand": "Oppo", "hnd_type": "Smart"}])
    ever = {"version": 0, "first_day": EVER, "last_day": STILL}
    _replace(lake, PLACES, [{"unit": "admin1", "place": n, "pcod": pcod} for n, pcod in enumerate("EW")])
    _replace(lake, CELL_UNITS, [{"unit": "admin1", "location_id": "cell0", "place": 1, **ever}])
    _replace(
        lake,
        CELL_POSITIONS,
        [{"location_id": "cell0", "lon": 82.5, "lat": 25.0, "site": 0, "site_lon": 82.5, "site_lat": 25.0, **ever}],
    )


def small_lake(path: Path, timezone: str = "Asia/Kathmandu", days: int = 2, rows: int = 40) -> Lake:
    """A lake with `days` days of every event type and the reference tables."""
    lake = Lake.create(path, timezone)
    for event_type in EVENTS:
        for n in range(days):
            # A day may have one file or several.
            store_day(lake, event_type, FIRST + dt.timedelta(days=n), rows, files=n + 1)
    store_reference(lake)
    return lake


def _replace(lake: Lake, table: Table, rows: list[dict[str, object]]) -> None:
    schema = arrow_schema(table.columns)
    lake.replace_reference(table.name, pa.Table.from_pylist(rows, schema))
