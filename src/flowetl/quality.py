"""Quality checks: one small SQL file each, nearly all of them answered by one scan of a day.

The first line of a check's file names its event types, or GROUPS of them, and says what it counts:
`-- calls, sms: Rows without …`.
The rest is an aggregate expression over the day's rows, or a SELECT of one value from them. They see `day`: the stored
columns, `located` (the cell stood at a known place that day) and `row_hash` (of all columns but id).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb

from flowdb.reference.errors import DeliveryError
from flowdb.tables import DAILY, EVENT_TYPES, EVENTS

_PAIRED = tuple(name for name, table in EVENTS.items() if table.two_party and table.directed)
GROUPS = {
    "all": EVENT_TYPES,
    "paired": _PAIRED,
    "single": tuple(name for name in EVENT_TYPES if name not in _PAIRED),
}
"""Names for several event types: those with and without another party and a direction."""
SHIPPED = Path(__file__).with_name("checks")


@dataclass(frozen=True)
class QualityCheck:
    """One check: its stem, the event types it is for, what it counts, and its SQL."""

    stem: str
    event_types: tuple[str, ...]
    description: str
    sql: str

    @property
    def is_query(self) -> bool:
        """True for a SELECT of its own; False for an expression that shares the scan."""
        return self.sql.upper().startswith("SELECT")


@cache
def read(folder: Path = SHIPPED) -> tuple[QualityCheck, ...]:
    """The checks of a folder, in order of name; raises DeliveryError if a file does not say what it is for."""
    return tuple(sorted((_read(p) for p in folder.rglob("*.sql")), key=lambda c: (c.stem, c.event_types)))


def _read(path: Path) -> QualityCheck:
    first, _, sql = path.read_text().partition("\n")
    types, colon, description = first.removeprefix("--").partition(":")
    names = tuple(t.strip() for t in types.split(","))
    event_types = tuple(t for n in names for t in (GROUPS.get(n, (n,))))
    if not first.startswith("--") or not colon or not set(event_types) <= set(DAILY):
        raise DeliveryError(
            f"{path.name} must begin with a line such as `-- calls, sms: What it counts.`; "
            f"the event types are all (but mobile money), paired, single, {', '.join(DAILY)}."
        )
    return QualityCheck(path.stem, event_types, description.strip(), sql.strip().rstrip(";"))


def named(event_type: str, folders: Sequence[Path] = (SHIPPED,)) -> dict[str, QualityCheck]:
    """The checks of an event type by the name under which results are kept: `<stem>`, or `<stem>.<event type>`.

    A check that every event type has goes by its stem alone.
    """
    checks = [c for folder in folders for c in read(folder)]
    everywhere = {
        stem
        for stem in {c.stem for c in checks}
        if {t for c in checks if c.stem == stem for t in c.event_types} >= set(EVENT_TYPES)
    }
    return {
        c.stem if c.stem in everywhere else f"{c.stem}.{event_type}": c for c in checks if event_type in c.event_types
    }


def run(
    connection: duckdb.DuckDBPyConnection, event_type: str, rows: str, folders: Sequence[Path] = (SHIPPED,)
) -> dict[str, str | None]:
    """The outcome of every check of an event type, as text, over `rows`.

    `rows` is an SQL relation with the stored columns; the connection holds a table `standing` of the cells
    (location_id) that stood at a known place that day.
    """
    hashed = ", ".join(f"e.{c.name}" for c in DAILY[event_type] if c.name != "id")
    connection.execute(
        f"""CREATE OR REPLACE TEMP VIEW day AS
        SELECT e.*, s.location_id IS NOT NULL AS located, hash({hashed}) AS row_hash
        FROM {rows} AS e LEFT JOIN standing AS s ON e.location_id = s.location_id"""  # noqa: S608 - own names
    )
    checks = named(event_type, folders)
    shared = {name: c for name, c in checks.items() if not c.is_query}
    columns = ", ".join(f"({c.sql})::VARCHAR" for c in shared.values())
    (values,) = connection.execute(f"SELECT {columns} FROM day").fetchall()  # noqa: S608 - shipped expressions
    outcomes: dict[str, str | None] = dict(zip(shared, values, strict=True))
    for name, check in checks.items():
        if check.is_query:
            ((value, *_), *_) = connection.execute(check.sql).fetchall()
            outcomes[name] = None if value is None else str(value)
    return dict(sorted(outcomes.items()))
