"""The sensor: which workflows are to run, for which of the available days, and why not for the others."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from autoflow.log import log
from autoflow.runs import json_safe, parameters_hash
from autoflow.settings import Settings
from autoflow.stencil import InvalidDateIntervalError
from autoflow.workflows import Definition, Entry, Workflow


class FlowApiError(RuntimeError):
    """FlowAPI did not tell which days are available; the message says why and what to do."""


@dataclass(frozen=True)
class Candidate:
    """A workflow for one available day: `parameters` are complete, `waits_for` says what is missing, if anything."""

    workflow: Workflow
    reference_date: dt.date
    parameters: Mapping[str, Any]
    waits_for: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The name of the workflow and the hash of the parameters, by which the run table knows it."""
        return self.workflow.name, parameters_hash(self.parameters)


def available_dates(settings: Settings, cdr_types: Iterable[str] | None) -> list[dt.date]:
    """Ask FlowAPI for the days that any of the given types of CDR has, in order, each once.

    Types that FlowAPI does not report are named in the log. Raises FlowApiError.
    """
    import flowclient  # noqa: PLC0415  (the client is slow to import, and `check` does not need it)

    token = settings.flowapi_token.get_secret_value()
    if not token:
        raise FlowApiError("There is no token for FlowAPI; set FLOWAPI_TOKEN or put it in /run/secrets/FLOWAPI_TOKEN.")
    certificate = str(settings.ssl_certificate_file) if settings.ssl_certificate_file else True
    try:
        connection = flowclient.connect(url=settings.flowapi_url, token=token, ssl_certificate=certificate)
        by_type = flowclient.get_available_dates(connection=connection)
    # Whatever goes wrong in the client, the sensor must live on and say so in a sentence.
    except Exception as error:
        said = str(error).replace(token, "[token removed]") or type(error).__name__
        raise FlowApiError(f"FlowAPI at {settings.flowapi_url} did not tell the available dates: {said}") from error
    wanted = list(by_type) if cdr_types is None else list(cdr_types)
    for unknown in sorted(set(wanted) - set(by_type)):
        log.warning("FlowAPI reports no days for this type of CDR", cdr_type=unknown)
    days = {dt.date.fromisoformat(day) for name in wanted for day in by_type.get(name, ())}
    return sorted(days)


def candidates(definition: Definition, available: Iterable[dt.date]) -> list[Candidate]:
    """Give every entry of the sensor with every available day, in the order of days within entries.

    Entries that come to the same workflow with the same parameters for a day are one.
    """
    days = sorted(set(available))
    found: dict[tuple[str, str], Candidate] = {}
    for entry in definition.entries:
        for day in days:
            candidate = _candidate(entry, day, days)
            same = found.get(candidate.key)
            if same is None or (same.waits_for and not candidate.waits_for):
                found[candidate.key] = candidate
    return list(found.values())


def _candidate(entry: Entry, day: dt.date, available: list[dt.date]) -> Candidate:
    waits_for, ranges = None, []
    try:
        ranges = entry.date_stencil.date_ranges(day)
        missing = entry.date_stencil.missing(day, available)
        if missing:
            others = f" and {len(missing) - 3} more days" if len(missing) > 3 else ""
            waits_for = f"waits for {', '.join(map(str, missing[:3]))}{others}"
    except InvalidDateIntervalError as error:
        waits_for = str(error)
    except OverflowError:
        waits_for = "the date stencil leaves the calendar for this date"
    if entry.earliest_date and day < entry.earliest_date:
        waits_for = f"before the earliest date, {entry.earliest_date}"
    automatic = {"reference_date": day, "date_ranges": ranges}
    return Candidate(entry.workflow, day, json_safe({**entry.parameters, **automatic}), waits_for)
