"""Loading of deliveries: whole files in, whole days out.

Every file is read through, cleaned and staged before the first day is touched; then each day found in the data is
sorted, checked and committed, completely or not at all. After a load that was killed, run it again.

Rules. A delivery replaces each day that it has rows for. A loaded day is left alone if all its rows come
from files that it was made of. It is not replaced by fewer than half as many rows: such files are late ones, which
must be given together with the first, or added. Rows that are identical in all columns are one row.
"""

# ruff: noqa: S608 - SQL is made of declared names and own paths; delivered values never stand in it

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy.exc import SQLAlchemyError

from flowdb import records as books
from flowdb.lake import Lake, day_lock, sweep
from flowdb.records import Catalogue
from flowdb.reference import settling
from flowdb.reference.delivered_csv import left_out_note
from flowdb.reference.errors import DeliveryError
from flowdb.reference.values import Encoding
from flowdb.tables import DAILY, stored_columns
from flowetl import deliveries, plausibility, pseudonyms, quality
from flowetl.deliveries import Delivery
from flowetl.staging import Progress, Run, Staged, quarantine, stage
from flowetl.workspace import connected, directory_of_run, sentences
from flowkit_base.errors import UserError, library_sentence
from flowkit_base.sql_text import literal, literals
from flowkit_base.stopping import stoppable

_ROW_GROUP = 122_880


@dataclass(frozen=True)
class DayReport:
    """What a load did with one day."""

    event_type: str
    day: dt.date
    state: Literal["ingested", "already in"]
    delivered: int = 0
    """Lines delivered for the day, bad ones included."""
    loaded: int = 0
    duplicates: int = 0
    quarantined: int = 0
    """Bad lines, counted with the day that most lines of their file are of."""
    unknown_cells: int = 0
    """Rows at cells that were never loaded."""
    replaced: int | None = None
    """Rows that the day had before; None where it was not in."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Rules:
    """What a call of `ingest` allows."""

    max_bad_lines: int | None
    replace: bool
    late: Literal["refuse", "add"]
    checks: tuple[Path, ...]
    insist: bool


def ingest(
    lake: Lake,
    catalogue: Catalogue,
    event_type: str,
    files: Iterable[Path],
    *,
    key: bytes,
    columns: Mapping[str, str] | None = None,
    timezone_of_source: str | None = None,
    encoding: Encoding = "utf-8",
    max_bad_lines: int | None = None,
    replace: bool = False,
    late: Literal["refuse", "add"] = "refuse",
    keep_duplicates: bool = False,
    insist: bool = False,
    memory_limit: str = "2GB",
    threads: int | None = None,
    checks: Sequence[Path] = (),
    progress: Progress | None = None,
) -> list[DayReport]:
    """Load deliveries of one event type; days are found in the data.

    `files` are CSV, gzipped CSV or Parquet with a header of FlowKit's column names; `columns` gives a source column
    for a target one if the names differ. Times that carry no offset are of `timezone_of_source`, by default the
    lake's. Bad lines go to the quarantine of the lake (`quarantine/<event type>/`) and the day loads without them,
    unless a file has more than `max_bad_lines`. `replace` allows a day to be replaced by less than half of it;
    `late="add"` adds such rows to the day instead. `checks` are folders of further quality checks.

    Rows that are identical in all columns become one row, unless `keep_duplicates`. A file that looks like another
    event type's, or whose cells are nearly all unknown or are people, is refused, unless `insist`.

    Raises DeliveryError or LakeError, in one sentence; if it is about a file or a rule, nothing was loaded. Ctrl-C and
    SIGTERM raise `flowkit_base.stopping.Stopped`.
    """
    tell = progress or (lambda *_: None)
    paths = list(files)
    if event_type not in DAILY:
        raise DeliveryError(f"{event_type!r} is no event type; there are: {', '.join(DAILY)}.")
    if not paths:
        raise DeliveryError("No file is given.")
    source_zone = timezone_of_source or lake.timezone
    today = dt.datetime.now(_zone(lake.timezone)).date()
    _zone(source_zone)
    rules = _Rules(max_bad_lines, replace, late, (quality.SHIPPED, *checks), insist)
    quality.named(event_type, rules.checks)
    loaded: list[dt.date] = []
    with stoppable(lambda: _left_behind(event_type, loaded)) as signals, sentences():
        settling.settle(lake)
        books.mend(catalogue, lake, [event_type])
        given = _inspected(paths, encoding, tell)
        if not insist:
            plausibility.refuse_other_type(lake, event_type, given, columns or {})
        for delivery in given:
            deliveries.meanings(delivery, event_type, columns or {})
        with directory_of_run(lake) as directory, connected(directory, key, memory_limit, threads) as connection:
            run = Run(
                lake,
                event_type,
                connection,
                directory,
                columns=columns or {},
                source_zone=source_zone,
                fingerprint=pseudonyms.fingerprint(key),
                today=today,
                progress=tell,
                signals=signals,
                keep_duplicates=keep_duplicates,
            )
            return _load(run, catalogue, given, rules, loaded)


def _left_behind(event_type: str, loaded: Sequence[dt.date]) -> str:
    """What a stopped load leaves, as a sentence."""
    days = "1 day of this run is" if len(loaded) == 1 else f"{len(loaded)} days of this run are"
    return f"{days} loaded; of the {event_type} of the day at hand nothing was stored. Run it again to load the rest."


def withdraw(lake: Lake, catalogue: Catalogue, event_type: str, day: dt.date, reason: str) -> None:
    """Withdraw a day, with a reason; its history stays.

    Raises DeliveryError for an unknown event type, LakeError if the day is not loaded.
    """
    if event_type not in DAILY:
        raise DeliveryError(f"{event_type!r} is no event type; there are: {', '.join(DAILY)}.")
    with day_lock(lake, event_type, day):
        books.record_commit(catalogue, event_type, lake.withdraw_day(event_type, day, reason))


def _load(
    run: Run, catalogue: Catalogue, given: Sequence[Delivery], rules: _Rules, loaded: list[dt.date]
) -> list[DayReport]:
    """Stage and check all files, then load day by day; adds each day to `loaded`."""
    former = _former_facts(run)
    waiting, known = _split_known(run, given, {} if rules.replace else former)
    staged = Staged()
    while waiting:
        stage(run, staged, waiting)
        # A file that is in already is needed where another file has rows for one of its days.
        waiting = [d for d in known if set(known[d]) & staged.rows.keys()]
        for delivery in waiting:
            del known[delivery]
    _refuse_bad_lines(run, staged, rules.max_bad_lines)
    plausibility.check_cells(run, staged, insist=rules.insist)

    to_load: list[dt.date] = []
    reports: dict[dt.date, DayReport] = {
        day: DayReport(run.event_type, day, "already in") for days in known.values() for day in days
    }
    for day, by_file in sorted(staged.rows.items()):
        if _is_loaded(run, by_file, former.get(day), rules):
            reports[day] = DayReport(run.event_type, day, "already in")
        else:
            to_load.append(day)
    other_key = sorted(d for d, facts in former.items() if d not in to_load and facts.get("key") != run.fingerprint)
    _refuse_losses(run, staged, to_load, former, rules)
    books.record_states(catalogue, run.event_type, to_load, "found")
    sweep(run.lake, event_type=run.event_type)
    rows = {day: sum(staged.rows[day].values()) for day in to_load}
    done = 0
    for day in to_load:
        run.progress("loading rows", done, sum(rows.values()))
        done += rows[day]
        with day_lock(run.lake, run.event_type, day):
            # Another load may have published, replaced or withdrawn the day since the facts were read.
            if _version(run, day) != former.get(day, {}).get("version"):
                former = _former_facts(run)
            facts = former.get(day)
            if facts and _is_loaded(run, staged.rows[day], facts, rules):
                books.record_state(catalogue, run.event_type, day, "ingested", timestamp=facts["timestamp"])
                reports[day] = DayReport(run.event_type, day, "already in")
                continue
            try:
                added = _refuse_losses(run, staged, [day], former, rules)
            except UserError as error:
                books.record_state(catalogue, run.event_type, day, "failed", str(error))
                raise
            report = _load_day(run, catalogue, staged, day, added_to=added.get(day), rules=rules)
        reports[day] = dataclasses.replace(report, replaced=facts["rows"] if facts else None)
        loaded.append(day)
    if other_key and to_load:
        last = reports[to_load[-1]]
        warning = (
            f"{len(other_key)} other days, such as {other_key[0]}, were loaded under another key: subscribers of those "
            "days and these do not match."
        )
        reports[to_load[-1]] = dataclasses.replace(last, warnings=(*last.warnings, warning))
    run.progress("loading rows", done, done)
    return [reports[day] for day in sorted(reports)]


def _inspected(paths: Sequence[Path], encoding: Encoding, progress: Progress) -> list[Delivery]:
    """Read the files through; a file given twice, under whatever name, is one delivery."""
    total = sum(path.stat().st_size for path in paths if path.is_file())
    lock, done = Lock(), 0

    def advance(size: int) -> None:
        nonlocal done
        with lock:
            done += size
            progress("reading bytes", done, total)

    by_content: dict[str, Delivery] = {}
    pool = ThreadPoolExecutor(2)
    try:
        for delivery in pool.map(lambda path: deliveries.inspect(path, encoding, advance), paths):
            by_content.setdefault(delivery.sha256, delivery)
    finally:
        pool.shutdown(cancel_futures=True)
    return list(by_content.values())


def _former_facts(run: Run) -> dict[dt.date, dict[str, Any]]:
    """The facts of every published day, with its rows, version and time of publication."""
    stored = run.lake.days(run.event_type)
    records = {dt.date.fromisoformat(record["day"]): record for record in run.lake.history(run.event_type)}
    return {
        day: {
            **records[day]["facts"],
            "rows": stored[day].rows,
            "version": stored[day].version,
            "timestamp": dt.datetime.fromisoformat(records[day]["timestamp"]),
        }
        for day in stored
        if day in records
    }


def _version(run: Run, day: dt.date) -> str | None:
    stored = run.lake.days(run.event_type).get(day)
    return stored.version if stored else None


def _is_loaded(run: Run, by_file: Iterable[Delivery], facts: Mapping[str, Any] | None, rules: _Rules) -> bool:
    """Whether all rows delivered for a day are of files that the published day was made of."""
    return not rules.replace and facts is not None and _checksums(run, facts) >= {d.sha256 for d in by_file}


def _checksums(run: Run, facts: Mapping[str, Any]) -> set[str]:
    """The checksums of the files that a day was made of, if they were read as this call reads."""
    return {s["sha256"] for s in facts.get("sources", []) if s.get("reading") == run.reading}


def _split_known(
    run: Run, given: Sequence[Delivery], former: Mapping[dt.date, Mapping[str, Any]]
) -> tuple[list[Delivery], dict[Delivery, list[dt.date]]]:
    """The files to read, and those of which every row is in already, with their days."""
    days_of = {
        s["sha256"]: [dt.date.fromisoformat(d) for d in s["days"]]
        for facts in former.values()
        for s in facts.get("sources", [])
        if s.get("reading") == run.reading
    }
    known = {
        d: days_of[d.sha256]
        for d in given
        if d.sha256 in days_of
        and all(day in former and d.sha256 in _checksums(run, former[day]) for day in days_of[d.sha256])
    }
    return [d for d in given if d not in known], known


def _refuse_bad_lines(run: Run, staged: Staged, max_bad_lines: int | None) -> None:
    """Put bad lines into quarantine; refuse the delivery where a file has too many."""
    for delivery, bad in staged.bad.items():
        kept = quarantine(run, staged, delivery)
        number, reason = run.connection.execute(
            f"SELECT line, reason FROM {literal(kept)} ORDER BY line LIMIT 1"
        ).fetchall()[0]
        first = f"the first is line {number}: {reason}"
        where = kept.relative_to(run.lake.path)
        if not staged.days(delivery):
            raise DeliveryError(f"{delivery.name} has no good line; {first}. All are in the lake's {where}.")
        if max_bad_lines is not None and bad > max_bad_lines:
            raise DeliveryError(
                f"{delivery.name} has {bad} bad lines, more than the {max_bad_lines} that are allowed; {first}. "
                f"All are in the lake's {where}."
            )


def _refuse_losses(
    run: Run,
    staged: Staged,
    days: Sequence[dt.date],
    former: Mapping[dt.date, Mapping[str, Any]],
    rules: _Rules,
) -> dict[dt.date, Mapping[str, Any]]:
    """The facts of days that rows are to be added to; raises DeliveryError if a day would lose half its rows."""
    smaller = {d for d in days if d in former and sum(staged.rows[d].values()) * 2 < former[d]["rows"]}
    if not smaller or rules.replace:
        return {}
    if rules.late == "add":
        for day in sorted(smaller):
            if former[day].get("key") != run.fingerprint:
                raise DeliveryError(
                    f"The {run.event_type} of {day} were loaded under another key: rows can be added only under it."
                )
        return {day: former[day] for day in smaller}
    day = min(smaller)
    others = f" ({len(smaller)} days are so)" if len(smaller) > 1 else ""
    raise DeliveryError(
        f"The {run.event_type} of {day} are in with {former[day]['rows']} rows and this delivery has "
        f"{sum(staged.rows[day].values())}{others}: give late files together with the first ones, or add them (--add), "
        "or say that they shall replace the day (--replace)."
    )


def _load_day(
    run: Run,
    catalogue: Catalogue,
    staged: Staged,
    day: dt.date,
    *,
    added_to: Mapping[str, Any] | None,
    rules: _Rules,
) -> DayReport:
    books.record_state(catalogue, run.event_type, day, "loading")
    file = run.lake.stage(run.event_type, day)
    try:
        report, facts = _write_day(run, staged, day, added_to, file=file, folders=rules.checks)
        record = run.lake.commit_day(run.event_type, day, [file], facts, run.connection)
    except BaseException as error:
        # Not if the commit did go through: then the file is the day.
        published = run.lake.days(run.event_type).get(day)
        if published is None or file not in published.files:
            run.lake.discard(file)
        with suppress(SQLAlchemyError):
            books.record_state(catalogue, run.event_type, day, "failed", _reason(run, error))
        raise
    books.record_commit(catalogue, run.event_type, record)
    return report


def _reason(run: Run, error: BaseException) -> str:
    """Why a day failed, as a sentence."""
    if isinstance(error, UserError):
        return str(error)
    # A library that was interrupted raises errors of its own, with other causes.
    sentence = None if run.signals else library_sentence(error)
    return sentence or "The load was stopped: run it again."


def _write_day(
    run: Run,
    staged: Staged,
    day: dt.date,
    added_to: Mapping[str, Any] | None,
    *,
    file: Path,
    folders: Sequence[Path],
) -> tuple[DayReport, dict[str, Any]]:
    """Write the sorted rows of a day to a file, check them, and tell the facts."""
    names = [c.name for c in stored_columns(run.event_type) if c.name != "day"]
    columns = ", ".join(names)
    parts = [p for part in staged.parts for p in part.glob(f"day={day}/*.parquet")]
    # A person's number never gets into the lake through the column of cells.
    empty = "CASE WHEN location_id NOT IN (FROM people_as_cells) THEN location_id END AS location_id"
    cleared = columns.replace("location_id", empty) if staged.emptied else columns
    rows = f"SELECT {cleared} FROM read_parquet({literals(parts)}, hive_partitioning = false)"
    delivered = sum(staged.rows[day].values())
    if added_to is not None:
        published = run.lake.days(run.event_type)[day].files
        rows += f" UNION ALL SELECT {columns} FROM read_parquet({literals(published)}, hive_partitioning = false)"
    order = ", ".join(["msisdn", "datetime", *(n for n in names if n in ("id", "outgoing", "location_id"))])
    distinct = "" if run.keep_duplicates else "DISTINCT"
    run.connection.execute(
        f"COPY (SELECT {distinct} * FROM ({rows}) ORDER BY {order}) TO {literal(file)} "
        f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})"
    )
    stored = f"read_parquet({literal(file)}, hive_partitioning = false)"
    loaded, unknown = _counted(run, stored, day)
    outcomes = quality.run(run.connection, run.event_type, stored, folders)
    bad = staged.bad_lines(day)
    counts = {
        "delivered": delivered + bad,
        "loaded": loaded,
        "duplicates": delivered + (added_to["rows"] if added_to else 0) - loaded,
        "quarantined": bad,
        "unknown_cells": unknown,
    }
    facts = {
        "sources": [*(added_to["sources"] if added_to else []), *_source_records(run, staged, day)],
        "counts": counts,
        "checks": outcomes,
        "descriptions": {n: c.description for n, c in quality.named(run.event_type, folders).items()},
        "key": run.fingerprint,
    }
    report = DayReport(
        run.event_type, day, "ingested", **counts, warnings=_warnings(run, staged, day, unknown, counts["duplicates"])
    )
    return report, facts


def _counted(run: Run, stored: str, day: dt.date) -> tuple[int, int]:
    """Rows of a day, and rows at cells that were never loaded; makes the table `standing` of the day's cells."""
    reference = {"cells": run.lake.reference("cells"), "positions": run.lake.reference("cell_positions")}
    for name, table in reference.items():
        run.connection.register(name, table)
    run.connection.execute(
        "CREATE OR REPLACE TEMP TABLE standing AS "
        "SELECT DISTINCT location_id FROM positions WHERE $day BETWEEN first_day AND last_day",
        {"day": day},
    )
    counts = run.connection.execute(
        f"SELECT count(*), count(*) FILTER (location_id IS NOT NULL AND location_id NOT IN (SELECT id FROM cells)) "
        f"FROM {stored}"
    ).fetchall()
    for name in reference:
        run.connection.unregister(name)
    return counts[0]


def _source_records(run: Run, staged: Staged, day: dt.date) -> list[dict[str, Any]]:
    return [
        {
            "name": delivery.name,
            "sha256": delivery.sha256,
            "lines": delivery.lines,
            "bad_lines": staged.bad.get(delivery, 0),
            "rows": rows,
            "days": [str(d) for d in staged.days(delivery)],
            "reading": run.reading,
        }
        for delivery, rows in staged.rows[day].items()
    ]


def _warnings(run: Run, staged: Staged, day: dt.date, unknown: int, duplicates: int) -> tuple[str, ...]:
    warnings = []
    if unknown:
        warnings.append(f"{unknown} {run.event_type} of {day} are at cells that are not loaded.")
    if duplicates:
        warnings.append(
            f"{duplicates} {run.event_type} of {day} are identical to others in all columns and are left out; "
            "--keep-duplicates loads them."
        )
    for delivery in staged.rows[day]:
        if staged.main_day(delivery) != day:
            continue
        if left := staged.left_out[delivery.sha256]:
            warnings.append(left_out_note(delivery.name, left))
        if emptied := staged.emptied.get(delivery):
            warnings.append(f"{delivery.name}: in {emptied} rows the cell was a person's number, and is left empty.")
        if bad := staged.bad.get(delivery):
            lines = "bad line is" if bad == 1 else "bad lines are"
            warnings.append(f"{delivery.name}: {bad} {lines} in the lake's quarantine/{run.event_type}.")
    return tuple(warnings)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise DeliveryError(f"{name!r} is not a time zone: name one such as Asia/Kathmandu or UTC.") from None
