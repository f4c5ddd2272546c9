"""Candidates: the workflows of the sensor for each available day, and what each still waits for."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from autoflow.definition.model import Definition, Entry, Workflow
from autoflow.definition.stencil import Days, InvalidDateIntervalError, days_of, missing_of
from autoflow.runs.run import json_safe, parameters_hash
from autoflow.schedule.available import warn_of_unreported

EVERY: Mapping[str, Callable[[dt.date], bool]] = {
    "day": lambda _: True,
    "week": lambda day: day.isoweekday() == 7,
    "month": lambda day: (day + dt.timedelta(days=1)).day == 1,
}
"""Which days are reference dates."""


@dataclass(frozen=True)
class Candidate:
    """A workflow for one available day: `parameters` are complete, `waits_for` says what is missing, if anything.

    `cdr_types` are the types whose days count for it, `days` those that its stencil needs, in order;
    `on_change` names what causes another run when it has changed since: "notebooks", "data"; `entry` is the
    position of its entry in workflows.yml; `missing` are the days of its stencil that are not available.
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


def candidates(definition: Definition, reported: Mapping[str, Iterable[dt.date]]) -> list[Candidate]:
    """Give every entry of the sensor with every available day, in the order of days within entries.

    `reported` holds the days of each type of CDR. Entries that come to the same workflow with the same
    parameters for a day are one. Types that FlowAPI does not report are named in the log; they have no days.
    """
    by_type = {name: Days(days) for name, days in reported.items()}
    warn_of_unreported((name for entry in definition.entries for name in types_of(definition, entry, by_type)), by_type)
    by_key: dict[tuple[str, str], Candidate] = {}
    for number, entry in enumerate(definition.entries):
        types = types_of(definition, entry, by_type)
        days = days_that_count(types, by_type, entry.require)
        own = json_safe(entry.parameters)
        for day in days:
            if not EVERY[entry.every](day):
                continue
            candidate = candidate_for(entry, day, days, types, number, own)
            same = by_key.get(candidate.key)
            if same is None or (same.waits_for and not candidate.waits_for):
                by_key[candidate.key] = candidate
    return list(by_key.values())


def types_of(definition: Definition, entry: Entry, reported: Iterable[str]) -> tuple[str, ...]:
    """Give the types of CDR that count for an entry: its own, the sensor's, or all that are reported."""
    return entry.cdr_types or definition.cdr_types or tuple(sorted(reported))


def named(days: Sequence[dt.date]) -> str:
    """Give days as a list within a sentence: the first three, and how many more."""
    more = len(days) - 3
    return ", ".join(map(str, days[:3])) + (f" and {more} more day{'s' if more > 1 else ''}" if more > 0 else "")


def days_that_count(types: tuple[str, ...], by_type: Mapping[str, Days], require: str) -> Days:
    """Give the days that any, or all, of some types of CDR have."""
    sets = [set(by_type.get(name, ())) for name in types]
    if not sets:
        return Days()
    return Days(set.intersection(*sets) if require == "all" else set.union(*sets))


def candidate_for(  # noqa: PLR0917  (one call for each of thousands of candidates)
    entry: Entry,
    day: dt.date,
    available: Days,
    types: tuple[str, ...] = (),
    number: int = 0,
    own: Mapping[str, Any] | None = None,
) -> Candidate:
    """Give an entry (the `number`th) with a day, and what it waits for given the available days.

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
