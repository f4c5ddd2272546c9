"""Staging: delivered files become clean rows in Parquet, a folder a day, and bad lines become a quarantine."""

# ruff: noqa: S608 - SQL is made of declared names and own paths; delivered values never stand in it

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import duckdb

from flowdb.lake import Lake
from flowdb.reference.errors import DeliveryError
from flowdb.tables import DAILY
from flowetl import cleaning, deliveries
from flowetl.deliveries import Delivery
from flowkit_base.sql_text import literal, literals

REVISION = 1
"""Raised when the same file would be cleaned to other rows than before."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True)
class Run:
    """One call of `ingest`: what all its steps need to know."""

    lake: Lake
    event_type: str
    connection: duckdb.DuckDBPyConnection
    directory: Path
    columns: Mapping[str, str]
    source_zone: str
    fingerprint: str
    today: dt.date
    progress: Progress
    signals: Sequence[int]
    """The signals to stop that came so far."""
    keep_duplicates: bool = False

    @property
    def reading(self) -> str:
        """A digest of all that decides, besides a file's content, what rows it becomes."""
        decisions = [REVISION, sorted(self.columns.items()), self.source_zone, self.lake.timezone, self.fingerprint]
        decisions += ["duplicates kept"] if self.keep_duplicates else []
        return hashlib.sha256(json.dumps(decisions).encode()).hexdigest()[:16]


@dataclass
class Staged:
    """Files that were cleaned and staged: the rows each gave to each day, and its bad lines."""

    files: list[Delivery] = field(default_factory=list)
    parts: list[Path] = field(default_factory=list)
    rows: dict[dt.date, dict[Delivery, int]] = field(default_factory=dict)
    bad: dict[Delivery, int] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    emptied: dict[Delivery, int] = field(default_factory=dict)
    """Rows of a file whose cell was a person, and is left empty."""

    def days(self, delivery: Delivery) -> list[dt.date]:
        """The days that a file gave rows to, in order."""
        return sorted(day for day, by_file in self.rows.items() if delivery in by_file)

    def main_day(self, delivery: Delivery) -> dt.date | None:
        """The day that a file gave most rows to; None where it has no good line."""
        by_day = {day: by_file[delivery] for day, by_file in self.rows.items() if delivery in by_file}
        return max(sorted(by_day), key=lambda d: by_day[d]) if by_day else None

    def bad_lines(self, day: dt.date) -> int:
        """The bad lines of the files whose main day this is."""
        return sum(n for delivery, n in self.bad.items() if self.main_day(delivery) == day)


def stage(run: Run, staged: Staged, files: Sequence[Delivery]) -> None:
    """Clean files into staged Parquet, one part per shape of file, partitioned by day."""
    total = sum(delivery.lines for delivery in files)
    done = 0

    def advance(lines: int) -> None:
        nonlocal done
        done += lines
        run.progress("cleaning rows", min(done, total), total)

    advance(0)
    # Only a stream of text tells how far it is read: of Parquet, the file.
    ordered = sorted(files, key=lambda d: (repr(d.shape), d.sha256))
    for _, same in groupby(ordered, key=lambda d: (d.shape, d.sha256 if d.format == "parquet" else "")):
        group = list(same)
        _stage_group(run, staged, group, advance)
        if group[0].format == "parquet":
            advance(group[0].lines)


def quarantine(run: Run, staged: Staged, delivery: Delivery) -> Path:
    """Keep the bad lines of a file, by number, reason and form; their content stays in the delivery."""
    folder = run.lake.path / "quarantine" / run.event_type
    folder.mkdir(parents=True, exist_ok=True)
    kept, new = folder / f"{delivery.sha256[:16]}.parquet", run.directory / f"{delivery.sha256}.parquet"
    bad = [p for part in staged.parts for p in part.glob("day=__HIVE_DEFAULT_PARTITION__/*.parquet")]
    run.connection.execute(
        f"""COPY (
          SELECT '{run.event_type}' AS event_type, $name AS file, line_number AS line, reason, form
          FROM read_parquet({literals(bad)}, hive_partitioning = false)
          WHERE file = $file AND reason <> '' ORDER BY line
        ) TO {literal(new)} (FORMAT parquet, COMPRESSION zstd)""",
        {"name": delivery.name, "file": staged.files.index(delivery)},
    )
    new.replace(kept)
    return kept


def _stage_group(run: Run, staged: Staged, group: Sequence[Delivery], advance: Callable[[int], None]) -> None:
    part = run.directory / f"part{len(staged.parts)}"
    positions, left = deliveries.meanings(group[0], run.event_type, run.columns)
    for delivery in group:
        staged.left_out[delivery.sha256] = left
    base = len(staged.files)
    staged.files.extend(group)
    if group[0].format == "parquet":
        source, values, structure, whole = _parquet(run, group, positions)
    else:
        run.connection.register("delivered_lines", deliveries.batches(group, advance))
        source, values, structure, whole = _text(group, positions)
    select = cleaning.cleaned(
        run.event_type,
        values,
        source,
        source_zone=run.source_zone,
        zone=run.lake.timezone,
        today=run.today,
        structure=structure,
        whole=whole,
        decimal_comma=group[0].format == "csv" and group[0].delimiter != ",",
    )
    run.connection.execute(
        f"COPY (SELECT * REPLACE ((file + {base})::INTEGER AS file) FROM ({select})) "
        f"TO {literal(part)} (FORMAT parquet, PARTITION_BY (day), COMPRESSION lz4)"
    )
    staged.parts.append(part)
    _count(run, staged, part)


def _count(run: Run, staged: Staged, part: Path) -> None:
    """Count the rows and bad lines of a part, and see that no line was lost."""
    counted = run.connection.execute(
        "SELECT file, day, reason = '' AS blank, reason IS NOT NULL AS bad, count(*) FROM "
        f"read_parquet({literal(part / '*' / '*.parquet')}, hive_partitioning = true, hive_types = {{'day': DATE}}) "
        "GROUP BY ALL"
    ).fetchall()
    seen: dict[Delivery, int] = {}
    for index, day, blank, bad, rows in counted:
        delivery = staged.files[index]
        seen[delivery] = seen.get(delivery, 0) + rows
        if not bad:
            staged.rows.setdefault(day, {})[delivery] = rows
        elif not blank:
            staged.bad[delivery] = staged.bad.get(delivery, 0) + rows
    for delivery, rows in seen.items():
        if rows != delivery.lines:
            raise DeliveryError(f"{delivery.name} changed while it was read: run it again when it is there whole.")


def _text(group: Sequence[Delivery], positions: Mapping[str, int]) -> tuple[str, dict[str, str], str, str]:
    """The relation of delivered lines, each column's text, what is wrong with a line as a whole, and the line."""
    delimiter, width = group[0].delimiter, len(group[0].header)
    lines = f"SELECT * REPLACE ({cleaning.tidied('line', delimiter)} AS line) FROM delivered_lines"
    structure = f"""CASE
      WHEN NOT decodable THEN 'it is not UTF-8'
      WHEN trim(line) = '' THEN ''
      WHEN contains(line, chr(0)) THEN 'it holds a NUL character'
      WHEN fields IS NULL THEN 'its quotes are not balanced'
      WHEN len(fields) <> {width} THEN 'it has ' || len(fields) || ' fields, the header has {width}'
    END"""
    values = {name: f"fields[{at + 1}]" for name, at in positions.items()}
    return f"SELECT *, {cleaning.fields_of_line(delimiter)} AS fields FROM ({lines})", values, structure, "line"


def _parquet(run: Run, group: Sequence[Delivery], positions: Mapping[str, int]) -> tuple[str, dict[str, str], str, str]:
    """What `_text` gives, for Parquet."""
    read = f"read_parquet({literals(_link(run, d) for d in group)}, file_row_number = true)"
    types = {row[0]: row[1] for row in run.connection.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()}
    values = {}
    for name, at in positions.items():
        source = group[0].header[at]
        quoted = '"' + source.replace('"', '""') + '"'
        values[name] = f"{quoted}::VARCHAR"
        if types[source] in ("FLOAT", "DOUBLE") and DAILY[run.event_type][name].identifies:
            # Whole numbers that were floats for want of nulls: 9841.0 is the identifier 9841.
            whole = f"{quoted} = trunc({quoted}) AND abs({quoted}) < 1e18"
            values[name] = f"CASE WHEN {whole} THEN {quoted}::BIGINT::VARCHAR ELSE {quoted}::VARCHAR END"
    source = f"SELECT *, file_index AS file, file_row_number + 1 AS line_number FROM {read}"
    return source, values, "NULL", f"concat_ws(',', {', '.join(values.values())})"


def _link(run: Run, delivery: Delivery) -> Path:
    # The reader takes * and ? in names for patterns; a link's name has none.
    link = run.directory / "sources" / delivery.sha256
    if not link.is_symlink():
        link.symlink_to(delivery.path.resolve())
    return link
