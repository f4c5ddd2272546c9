"""The actions of the server: one function per action, and their table."""

import datetime as dt
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pyarrow as pa

import flowdb.records
import flowmachine.catalogue
from flowdb.records import Catalogue
from flowdb.tables import EVENT_TYPES
from flowmachine import geojson
from flowmachine.building.schemas import in_zone
from flowmachine.engines import ROWS_AT_ONCE
from flowmachine.engines.offered import require_offered
from flowmachine.errors import FlowMachineError, InvalidQuery
from flowmachine.geojson import Atlas
from flowmachine.questions.parsing import parse
from flowmachine.questions.query import Query
from flowmachine.server.contents import kinds_in, names_stored_queries
from flowmachine.server.drawings import Drawings
from flowmachine.server.questions import Known, ask, may_leave, published, spelled_out, too_deep, understand
from flowmachine.server.states import AWOL, COMPLETED, ERRORED, EXECUTING, KNOWN, QUEUED, WITHDRAWN
from flowmachine.server.store import OutdatedDay, Row, Store, batch_count, read_rows
from flowmachine.server.workers import Workers
from flowmachine.session import Session

_Batch = tuple[pa.Table | pa.RecordBatch | None, int, int]


@dataclass(frozen=True)
class Reply:
    """An answer: `msg` is for people, `payload` for programs, `arrow` an Arrow IPC stream."""

    ok: bool
    payload: Mapping[str, Any] = field(default_factory=dict)
    msg: str = ""
    arrow: pa.Buffer | None = None

    @property
    def frames(self) -> list[Any]:
        """The answer as it goes over the wire."""
        answer = {"status": "success" if self.ok else "error", "msg": self.msg, "payload": dict(self.payload)}
        envelope = json.dumps(answer).encode()
        return [envelope] if self.arrow is None else [envelope, self.arrow]


@dataclass(frozen=True)
class Machine:
    """Everything that actions use."""

    session: Session
    atlas: Atlas
    store: Store
    workers: Workers
    catalogue: Catalogue
    drawings: Drawings
    history: bool = False
    """Whether results of days that were later withdrawn or replaced are still given, marked as such."""


def ping(_: Machine) -> Reply:
    """Whether the server answers."""
    return Reply(ok=True, msg="pong")


def get_available_queries(_: Machine) -> Reply:
    """The kinds that may be run."""
    return Reply(ok=True, payload={"available_queries": published()})


def get_query_schemas(machine: Machine) -> Reply:
    """The JSON Schemas of every kind, with the units that the store has."""
    units = machine.session.offered(machine.session.engine.snapshot()).named
    return Reply(ok=True, payload={"query_schemas": flowmachine.catalogue.schemas(units)})


def get_catalogue(_: Machine) -> Reply:
    """Every kind as data."""
    return Reply(ok=True, payload={"catalogue": flowmachine.catalogue.catalogue()})


def get_server_status(machine: Machine) -> Reply:
    """Version, time zone, and the numbers of queries by state."""
    counts = machine.store.counts()
    numbers = {state: counts.get(state, 0) for state in (QUEUED, EXECUTING, COMPLETED, ERRORED)}
    return Reply(
        ok=True,
        payload={
            "version": _version(),
            "timezone": machine.session.timezone,
            **numbers,
            "workers": machine.workers.number,
        },
    )


def run_query(machine: Machine, spec: Mapping[str, Any], request_id: str) -> Reply:
    """Queue a query, unless its result is stored, queued or being computed."""
    try:
        query = understand(spec, lambda query_id: _known(machine, query_id))
    except InvalidQuery as problem:
        return _invalid(spec, problem)
    try:
        question = ask(machine.session, query, machine.session.engine.snapshot())
    except InvalidQuery as problem:
        return _invalid(spec, problem)
    except FlowMachineError as problem:
        return Reply(ok=False, msg=str(problem), payload={"exception": str(problem)})
    machine.workers.submit(question, request_id)
    return Reply(
        ok=True,
        payload={
            "query_id": question.query_id,
            "progress": _progress(machine, machine.store.find(question.query_id)),
        },
    )


def get_aggregation_unit(machine: Machine, spec: Mapping[str, Any]) -> Reply:
    """The level of a query's locations, and every kind in it; for an invalid spec, its errors and its kinds.

    If a spec names stored queries by their ids, `without_ids` is the answer for a user who may not know of them.
    """
    reply = _checked(machine, spec, lambda query_id: _known(machine, query_id))
    if not names_stored_queries(spec):
        return reply
    without = _checked(machine, spec, lambda _: None)
    return replace(reply, payload={**reply.payload, "without_ids": {"msg": without.msg, **without.payload}})


def _checked(machine: Machine, spec: Mapping[str, Any], known: Known) -> Reply:
    try:
        query = understand(spec, known)
        require_offered(query, lambda: machine.session.offered(machine.session.engine.snapshot()))
    except InvalidQuery as problem:
        reply = _invalid(spec, problem)
        if not may_leave(str(spec.get("query_kind"))):
            # Errors about the outermost kind need no scope of a query.
            return replace(reply, payload={**reply.payload, **kinds_in({})})
        named = kinds_in(spec if too_deep(spec) else spelled_out(spec, known))
        return replace(reply, payload={**reply.payload, **named})
    return Reply(ok=True, payload={"aggregation_unit": query.unit, **kinds_in(query.spec)})


def poll_query(machine: Machine, query_id: str) -> Reply:
    """The state and progress of a query."""
    row = _public_row(machine, query_id)
    if row is None:
        return _awol(query_id)
    outdated = _outdated(machine, row)
    if outdated and not machine.history:
        return _withdrawn(query_id, outdated)
    if machine.workers.wait_again(row):
        row = machine.store.find(query_id) or row
    return Reply(
        ok=True,
        msg=_of_former_days(outdated),
        payload={
            "query_id": query_id,
            "query_kind": row.query_kind,
            "query_state": row.state,
            "progress": _progress(machine, row),
            "error": row.error or "",
        },
    )


def get_query_kind(machine: Machine, query_id: str) -> Reply:
    """The kind of a query."""
    row = _public_row(machine, query_id)
    return _awol(query_id) if row is None else Reply(True, {"query_id": query_id, "query_kind": row.query_kind})


def get_query_params(machine: Machine, query_id: str) -> Reply:
    """The spec of a query with every default filled in, the level of its locations and every kind in it."""
    row = _public_row(machine, query_id)
    if row is None:
        return _awol(query_id)
    query = parse(row.params)
    return Reply(
        ok=True,
        payload={
            "query_id": query_id,
            "query_params": row.params,
            "aggregation_unit": query.unit,
            **kinds_in(query.spec),
        },
    )


def get_result(machine: Machine, query_id: str, batch: int = 0, format: str = "rows") -> Reply:  # noqa: A002 - the wire's
    """One batch of a query's released rows, as rows or as GeoJSON features."""
    row = _public_row(machine, query_id)
    if row is None:
        return _awol(query_id)
    if format not in ("rows", "geo"):
        return Reply(ok=False, msg=f"format is {format!r}. Must be one of: rows, geo.")
    # A client that has the first batch of a result gets the others too.
    outdated = _outdated(machine, row) if batch == 0 else []
    if outdated and not machine.history:
        return _withdrawn(query_id, outdated)
    if machine.workers.wait_again(row):
        return _computed_again(query_id)
    with machine.store.using(query_id) as path:
        if path is None:
            row = machine.store.find(query_id) or row
            reason = row.error or f"The query is {row.state}: run it, or wait until it is completed."
            return Reply(ok=False, msg=reason, payload={"query_id": query_id, "query_state": row.state})
        if batch == 0:
            machine.store.touch(query_id)
        query = parse(row.params)
        if format == "geo" and not geojson.has_geometry(query):
            return Reply(
                ok=False,
                msg=f"{row.query_kind} has no geometry: its rows are of no locations. Ask for them as rows.",
                payload={"query_id": query_id, "query_state": ERRORED},
            )
        try:
            table, batches, rows = (_features if format == "geo" else _rows)(machine, query_id, query, path, batch)
        except (FileNotFoundError, pa.ArrowInvalid):
            machine.store.lost(query_id)
            machine.workers.wait_again(row)
            return _computed_again(query_id)
    if table is None:
        return Reply(ok=False, msg=f"There is no batch {batch}: they are numbered 0 to {batches - 1}.")
    payload = {"query_id": query_id, "query_state": COMPLETED, "batch": batch, "batches": batches, "rows": rows}
    return Reply(ok=True, msg=_of_former_days(outdated), payload=payload, arrow=_stream(table))


def get_geography(machine: Machine, aggregation_unit: str, batch: int = 0) -> Reply:
    """One batch of the boundaries of a level, as GeoJSON features in WGS84."""
    snapshot = machine.session.engine.snapshot()
    levels = machine.session.offered(snapshot).units
    if aggregation_unit not in levels:
        choices = f"Must be one of: {', '.join(levels)}." if levels else "No cells or boundaries are loaded here."
        return Reply(ok=False, msg=f"aggregation_unit: {choices}", payload={"aggregation_unit": [choices]})
    places = machine.atlas.places(aggregation_unit, snapshot, own=True)
    cuts = geojson.boundary_batches(places)
    if not 0 <= batch < len(cuts):
        return Reply(ok=False, msg=f"There is no batch {batch}: they are numbered 0 to {len(cuts) - 1}.")
    start, stop = cuts[batch]
    boundaries = geojson.boundary_features(places, start=start, stop=stop)
    payload = {"query_state": COMPLETED, "batch": batch, "batches": len(cuts)}
    return Reply(ok=True, payload=payload, arrow=_stream(boundaries))


def get_available_dates(machine: Machine) -> Reply:
    """The stored days of every event type that has any."""
    snapshot = machine.session.engine.snapshot()
    dates = {event_type: [str(day) for day in snapshot.dates(event_type)] for event_type in EVENT_TYPES}
    return Reply(ok=True, payload={event_type: days for event_type, days in dates.items() if days})


def get_day_versions(machine: Machine) -> Reply:
    """The version of each stored day of every event type; it changes when the day is corrected."""
    snapshot = machine.session.engine.snapshot()
    days = {event_type: snapshot.days[event_type] for event_type in EVENT_TYPES if event_type in snapshot.days}
    versions = {
        event_type: {str(day): stored[day].version.removesuffix(".parquet") for day in sorted(stored)}
        for event_type, stored in days.items()
    }
    return Reply(ok=True, payload=versions)


def list_qa_checks(machine: Machine) -> Reply:
    """The quality checks that have results."""
    checks = flowdb.records.list_checks(machine.catalogue)
    available = [{"cdr_type": event_type, "type_of_query_or_check": name} for event_type, name in checks]
    return Reply(ok=True, payload={"available_qa_checks": available})


def get_qa_checks(machine: Machine, cdr_type: str, start_date: str, end_date: str, check_type: str) -> Reply:
    """The results of a quality check for the days from the first to the last, both included."""
    days = {}
    for name, text in {"start_date": start_date, "end_date": end_date}.items():
        try:
            days[name] = dt.date.fromisoformat(text)
        except ValueError:
            return Reply(ok=False, msg=f"{name} is {text!r}, which is no date: write it as 2016-01-31.")
    stop = days["end_date"] + dt.timedelta(days=1) if days["end_date"] < dt.date.max else dt.date.max
    checks = flowdb.records.get_checks(machine.catalogue, cdr_type, check_type, days["start_date"], stop)
    outcomes = [{"outcome": c.outcome, "cdr_date": str(c.day), "type_of_query_or_check": c.name} for c in checks]
    return Reply(ok=True, payload={"qa_checks": outcomes})


def cancel_query(machine: Machine, query_id: str) -> Reply:
    """Stop a query that is queued or running; other states do not change."""
    if _public_row(machine, query_id) is None:
        return _awol(query_id)
    return Reply(ok=True, payload={"query_id": query_id, "query_state": machine.workers.cancel(query_id)})


def list_queries(machine: Machine) -> Reply:
    """Every known query and stored part, the latest first."""
    entries = [
        {
            "query_id": row.query_id,
            "query_kind": row.query_kind,
            "query_state": row.state,
            "submitted": row.submitted.isoformat() if row.submitted else None,
        }
        for row in machine.store.every()
    ]
    return Reply(ok=True, payload={"queries": entries})


@dataclass(frozen=True)
class Action:
    """One action: the function that answers, and whether it takes the `whole` of the parameters as one spec."""

    answer: Callable[..., Reply]
    whole: bool = False

    def __call__(self, machine: Machine, params: Mapping[str, Any], request_id: str) -> Reply:
        """The answer, or the error in the parameters."""
        if self.whole:
            more = {"request_id": request_id} if "request_id" in inspect.signature(self.answer).parameters else {}
            return self.answer(machine, params, **more)
        name, takes = self.answer.__name__, dict(list(inspect.signature(self.answer).parameters.items())[1:])
        for given, value in params.items():
            if given not in takes:
                allowed = f"it takes {', '.join(takes)}" if takes else "it takes none"
                return Reply(ok=False, msg=f"{name} has no parameter {given!r}: {allowed}.")
            kind = takes[given].annotation
            if not isinstance(value, kind) or isinstance(value, bool):
                return Reply(ok=False, msg=f"{given} of {name} must be {'a number' if kind is int else 'text'}.")
        lacks = [n for n, p in takes.items() if n not in params and p.default is inspect.Parameter.empty]
        if lacks:
            return Reply(ok=False, msg=f"{name} needs {' and '.join(lacks)}.")
        return self.answer(machine, **params)


ACTIONS: dict[str, Action] = {
    answer.__name__: Action(answer, whole=answer in (run_query, get_aggregation_unit))
    for answer in (
        ping,
        get_available_queries,
        get_query_schemas,
        get_catalogue,
        get_server_status,
        run_query,
        get_aggregation_unit,
        poll_query,
        get_query_kind,
        get_query_params,
        get_result,
        get_geography,
        get_available_dates,
        get_day_versions,
        list_qa_checks,
        get_qa_checks,
        cancel_query,
        list_queries,
    )
}
"""The actions by name."""


def _public_row(machine: Machine, query_id: str) -> Row | None:
    """The record of a query; None for a part, whose state is not public."""
    row = machine.store.find(query_id)
    return row if row is not None and may_leave(row.query_kind) else None


def _known(machine: Machine, query_id: str) -> tuple[str, Mapping[str, Any]] | None:
    row = machine.store.find(query_id)
    return None if row is None else (row.query_kind, row.params)


def _outdated(machine: Machine, row: Row) -> list[OutdatedDay]:
    """The days of a stored or deleted result that were withdrawn or replaced since it was computed."""
    if row.state not in (COMPLETED, KNOWN):
        return []
    return machine.store.outdated(row.query_id, machine.session.engine.snapshot())


def _withdrawn(query_id: str, outdated: list[OutdatedDay]) -> Reply:
    return Reply(
        ok=False,
        msg=f"This result is gone: {_changes(outdated)} since it was computed. Run the query again.",
        payload={"query_id": query_id, "query_state": WITHDRAWN},
    )


def _of_former_days(outdated: list[OutdatedDay]) -> str:
    return f"This result is of former data: {_changes(outdated)} since it was computed." if outdated else ""


def _changes(outdated: list[OutdatedDay]) -> str:
    """What happened to the first of some days, and how many others changed too."""
    first = outdated[0]
    what = f"{first.event_type} of {first.day} was {'withdrawn' if first.withdrawn else 'replaced'}"
    more = len(outdated) - 1
    return what + (f", as {'was 1 other day' if more == 1 else f'were {more:,} other days'}," if more else "")


def _computed_again(query_id: str) -> Reply:
    return Reply(
        ok=False,
        msg="The stored result cannot be read any more and is computed again: wait until it is completed.",
        payload={"query_id": query_id, "query_state": QUEUED},
    )


def _awol(query_id: str) -> Reply:
    return Reply(
        ok=False,
        msg=f"No query {query_id!r} is known here: run it first.",
        payload={"query_id": query_id, "query_state": AWOL},
    )


def _invalid(spec: Mapping[str, Any], problem: InvalidQuery) -> Reply:
    return Reply(
        ok=False,
        msg=str(problem),
        payload={"params": dict(spec), "validation_error_messages": problem.problems},
    )


def _progress(machine: Machine, row: Row | None) -> dict[str, int]:
    """How many stored tables a query still needs, itself included, and how many of them are queued and running."""
    if row is None or row.state == COMPLETED:
        return {"eligible": 0, "queued": 0, "running": 0}
    states = [*machine.store.states(row.depends_on or []).values(), row.state]
    eligible = sum(state != COMPLETED for state in states)
    running = states.count(EXECUTING)
    # Parts wait for the worker of their query, not for another one.
    waiting = eligible - running if row.state in (QUEUED, EXECUTING) else 0
    return {"eligible": eligible, "queued": waiting, "running": running}


def _rows(machine: Machine, query_id: str, query: Query, path: Path, batch: int) -> _Batch:
    """A batch of stored rows, None if no batch has that number; how many batches and rows there are."""
    batches, rows = batch_count(path)
    if not 0 <= batch < batches:
        return None, batches, rows
    chosen = read_rows(path, batch * ROWS_AT_ONCE, (batch + 1) * ROWS_AT_ONCE)
    return in_zone(chosen, machine.session.timezone), batches, rows


def _features(machine: Machine, query_id: str, query: Query, path: Path, batch: int) -> _Batch:
    """A batch of stored rows as features, None if no batch has that number; how many batches and rows."""
    _, rows = batch_count(path)
    now = machine.atlas.places(query.unit or "", machine.session.engine.snapshot())
    places, cuts = machine.drawings.of(query_id, batch, now, lambda: geojson.batches(read_rows(path), query, now))
    if not 0 <= batch < len(cuts):
        return None, len(cuts), rows
    start, stop = cuts[batch]
    if geojson.is_flow(query):
        return geojson.flow_features(read_rows(path), query, places, start=start, stop=stop), len(cuts), rows
    chosen = in_zone(read_rows(path, start, stop), machine.session.timezone)
    return geojson.features(chosen, query, places, first=start), len(cuts), rows


def _stream(rows: pa.Table | pa.RecordBatch) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write(rows)
    return sink.getvalue()


def _version() -> str:
    try:
        return version("flowkit")
    except PackageNotFoundError:
        return "unknown"
