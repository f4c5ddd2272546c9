"""The sensor: which workflows are to run, for which of the available days, and why not for the others."""

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from autoflow.log import log
from autoflow.runs import json_safe, parameters_hash
from autoflow.settings import Settings
from autoflow.stencil import Days, InvalidDateIntervalError, days_of, missing_of
from autoflow.workflows import Definition, Entry, Workflow
from flowkit_base.errors import UserError

EVERY: Mapping[str, Callable[[dt.date], bool]] = {
    "day": lambda _: True,
    "week": lambda day: day.isoweekday() == 7,
    "month": lambda day: (day + dt.timedelta(days=1)).day == 1,
}
"""Which days are reference dates."""


class FlowApiError(UserError, RuntimeError):
    """FlowAPI did not tell which days are available; the message says why and what to do."""


@dataclass(frozen=True)
class Candidate:
    """A workflow for one available day: `parameters` are complete, `waits_for` says what is missing, if anything.

    `cdr_types` are the types whose days count for it, `days` those that its stencil needs, in order;
    `on_change` holds what asks for another run when it has changed since: "notebooks", "data"; `entry` is the
    position of its entry in workflows.yml; `missing` are the days of its stencil that are not there.
    """

    workflow: Workflow
    reference_date: dt.date
    parameters: Mapping[str, Any]
    waits_for: str | None = None
    cdr_types: tuple[str, ...] = ()
    on_change: frozenset[str] = frozenset()
    entry: int = 0
    missing: tuple[dt.date, ...] = ()

    @property
    def days(self) -> list[dt.date]:
        """Give every day that the stencil needs for this reference date, in order."""
        return days_of(
            (dt.date.fromisoformat(start), dt.date.fromisoformat(end)) for start, end in self.parameters["date_ranges"]
        )

    @cached_property
    def key(self) -> tuple[str, str]:
        """The name of the workflow and the hash of the parameters, by which the run table knows it."""
        return self.workflow.name, parameters_hash(self.parameters, safe=True)


def available_dates(settings: Settings, cdr_types: Iterable[str] | None) -> list[dt.date]:
    """Ask FlowAPI for the days that any of the given types of CDR has, in order, each once.

    Types that FlowAPI does not report are named in the log. Raises FlowApiError.
    """
    by_type = reported_dates(settings)
    wanted = list(by_type) if cdr_types is None else list(cdr_types)
    _warn_of_unreported(wanted, by_type)
    return sorted({day for name in wanted for day in by_type.get(name, ())})


def reported_dates(settings: Settings, stopped: threading.Event | None = None) -> dict[str, list[dt.date]]:
    """Ask FlowAPI for the days of each type of CDR, in order, each once.

    Raises FlowApiError, also where FlowAPI takes longer than the setting allows or `stopped` is set meanwhile.
    """
    if not settings.flowapi_token.get_secret_value():
        raise FlowApiError("There is no token for FlowAPI; set FLOWAPI_TOKEN or put it in /run/secrets/FLOWAPI_TOKEN.")
    answers: list[dict[str, list[dt.date]] | Exception] = []
    # The client's own limit is for each piece of an answer; a server that sends one now and then would never end.
    request = threading.Thread(target=lambda: answers.append(_answer(settings)), name="dates", daemon=True)
    request.start()
    end = time.monotonic() + settings.autoflow_dates_timeout
    while request.is_alive() and time.monotonic() < end and not (stopped and stopped.is_set()):
        request.join(0.2)
    failed = f"FlowAPI at {settings.flowapi_url} did not tell the available dates"
    if stopped and stopped.is_set():
        raise FlowApiError(f"{failed} before AutoFlow was stopped.")
    if not answers:
        limit = f"{settings.autoflow_dates_timeout:g} seconds (AUTOFLOW_DATES_TIMEOUT)"
        raise FlowApiError(f"{failed} within {limit}; look whether it is overloaded.")
    answer = answers[0]
    if isinstance(answer, Exception):
        said = str(answer).replace(settings.flowapi_token.get_secret_value(), "[token removed]")
        raise FlowApiError(f"{failed}: {said.rstrip('.') or type(answer).__name__}.") from answer
    return answer


def connection_of(settings: Settings, **more: Any) -> Any:
    """Connect to the FlowAPI of the settings; `more` goes to flowclient."""
    import flowclient  # noqa: PLC0415  (slow to import)

    return flowclient.connect(
        url=settings.flowapi_url,
        token=settings.flowapi_token.get_secret_value(),
        ssl_certificate=str(settings.ssl_certificate_file) if settings.ssl_certificate_file else True,
        **more,
    )


def _answer(settings: Settings) -> dict[str, list[dt.date]] | Exception:
    """Give what FlowAPI says, or what went wrong: whatever it is, the sensor must live on and tell it."""
    try:
        import flowclient  # noqa: PLC0415  (slow to import, and `check` does not need it)

        by_type = flowclient.get_available_dates(connection=connection_of(settings))
        return {name: sorted(set(map(dt.date.fromisoformat, days))) for name, days in by_type.items()}
    except Exception as error:
        return error


def candidates(definition: Definition, reported: Mapping[str, Iterable[dt.date]]) -> list[Candidate]:
    """Give every entry of the sensor with every available day, in the order of days within entries.

    `reported` holds the days of each type of CDR. Entries that come to the same workflow with the same
    parameters for a day are one. Types that FlowAPI does not report are named in the log; they have no days.
    """
    by_type = {name: Days(days) for name, days in reported.items()}
    _warn_of_unreported(
        (name for entry in definition.entries for name in types_of(definition, entry, by_type)), by_type
    )
    found: dict[tuple[str, str], Candidate] = {}
    for number, entry in enumerate(definition.entries):
        types = types_of(definition, entry, by_type)
        days = days_that_count(types, by_type, entry.require)
        own = json_safe(entry.parameters)
        for day in days:
            if not EVERY[entry.every](day):
                continue
            candidate = candidate_for(entry, day, days, types, number, own)
            same = found.get(candidate.key)
            if same is None or (same.waits_for and not candidate.waits_for):
                found[candidate.key] = candidate
    return list(found.values())


def types_of(definition: Definition, entry: Entry, reported: Iterable[str]) -> tuple[str, ...]:
    """Give the types of CDR that count for an entry: its own, the sensor's, or all that are reported."""
    return entry.cdr_types or definition.cdr_types or tuple(sorted(reported))


def named(days: Sequence[dt.date]) -> str:
    """Give days as they stand in a sentence: the first three, and how many more."""
    more = len(days) - 3
    return ", ".join(map(str, days[:3])) + (f" and {more} more day{'s' if more > 1 else ''}" if more > 0 else "")


def days_that_count(types: tuple[str, ...], by_type: Mapping[str, Days], require: str) -> Days:
    """Give the days that any, or all, of some types of CDR have."""
    sets = [set(by_type.get(name, ())) for name in types]
    if not sets:
        return Days()
    return Days(set.intersection(*sets) if require == "all" else set.union(*sets))


def _warn_of_unreported(wanted: Iterable[str], reported: Iterable[str]) -> None:
    for unknown in sorted(set(wanted) - set(reported)):
        log.warning("FlowAPI reports no days for this type of CDR", cdr_type=unknown)


def candidate_for(  # noqa: PLR0917  (one call for each of thousands of candidates)
    entry: Entry,
    day: dt.date,
    available: Days,
    types: tuple[str, ...] = (),
    number: int = 0,
    own: Mapping[str, Any] | None = None,
) -> Candidate:
    """Give an entry (the `number`th) with a day, and what it waits for given the days that are there.

    `own` are the entry's parameters as JSON, where they are at hand.
    """
    waits_for, ranges, missing = None, [], []
    try:
        ranges = entry.date_stencil.date_ranges(day)
        missing = missing_of(ranges, available)
        if missing:
            waits_for = f"waits for {named(missing)}"
    except InvalidDateIntervalError as error:
        waits_for = str(error)
    except OverflowError:
        waits_for = "the date stencil leaves the calendar for this date"
    if entry.earliest_date and day < entry.earliest_date:
        waits_for = f"before the earliest date, {entry.earliest_date}"
    parameters = {
        **(own if own is not None else json_safe(entry.parameters)),
        "reference_date": day.isoformat(),
        "date_ranges": [[start.isoformat(), end.isoformat()] for start, end in ranges],
    }
    return Candidate(entry.workflow, day, parameters, waits_for, types, entry.on_change, number, tuple(missing))


def __getattr__(name: str) -> Any:
    """Give the sensor as a Prefect flow, `available_dates_sensor`, which needs `flowkit[prefect]`."""
    if name != "available_dates_sensor":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from autoflow import prefect_flows  # noqa: PLC0415  (Prefect is large, and seldom there)

    return prefect_flows.available_dates_sensor
