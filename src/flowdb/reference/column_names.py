"""Which column of a delivered file is which column of a table; names that look as if they were meant for one."""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence

from flowdb.reference.errors import DeliveryError
from flowdb.tables import DAILY, Table

# What operators call our columns: proposed, never taken in silence.
_OF_EVENTS = {
    "datetime": ("start_time", "timestamp", "call_datetime", "event_time", "date_time", "time"),
    "msisdn": ("a_number", "caller", "calling_number", "subscriber", "subscriber_id", "anumber"),
    "msisdn_counterpart": ("b_number", "callee", "called_number", "bnumber", "counterpart"),
    "outgoing": ("is_outgoing",),
    "cell_version": ("version",),
    "location_id": ("cell_id", "cell", "cellid", "cgi", "site_id"),
    "duration": ("call_duration", "duration_seconds"),
    "id": ("call_id", "event_id", "record_id", "transaction_id"),
}
_OF_PLACES = {
    "longitude": ("lon", "long", "lng", "x"),
    "latitude": ("lat", "y"),
    "version": ("cell_version", "site_version"),
    "date_of_first_service": ("first_service", "start_date", "on_air_date"),
    "date_of_last_service": ("last_service", "end_date"),
    "site_id": ("site", "siteid", "site_code", "mast"),
}
_OF_TABLE = {
    "cells": {**_OF_PLACES, "id": ("cell_id", "cellid", "cell", "location_id", "cgi", "ecgi", "cell_code")},
    "sites": {**_OF_PLACES, "id": ("site_id", "siteid", "site", "site_code")},
    "tacs": {"id": ("tac", "tac_code")},
}
_ALIKE = 0.8


def locate(
    file: str, header: Sequence[str], table: Table, columns: Mapping[str, str], required: Iterable[str]
) -> tuple[dict[str, int], list[str]]:
    """Where each column of a table stands in a file's header, counted from 0, and the columns that are left out.

    `columns` gives a source column for a target one if the names differ; an empty source leaves the target out.
    Raises DeliveryError if a required column is missing, or if an unknown column may be meant for a missing one.
    """
    for target, source in columns.items():
        if target not in table:
            raise DeliveryError(f"{table.name} has no column {target!r}; it has: {', '.join(table.names)}.")
        if source and source not in header:
            raise DeliveryError(f"{file} has no column {source!r}; it has: {', '.join(header)}.")
    sources = set(columns.values())
    positions = {n: header.index(n) for n in table.names if n in header and n not in sources and n not in columns}
    positions |= {target: header.index(source) for target, source in columns.items() if source}
    left_out = [n for at, n in enumerate(header) if n and at not in positions.values()]
    missing = [n for n in required if n not in positions]
    proposals = _proposals(header, table, {*columns, *positions}, left_out, missing)
    if missing or proposals:
        complaint = _complaint(header, table, missing, left_out)
        raise DeliveryError(f"The header of {file} {complaint}; try {_options(missing, proposals)}.")
    return positions, left_out


def better_fit(header: Iterable[str], table: Table, columns: Mapping[str, str], others: Iterable[Table]) -> str | None:
    """The sentence's end for a header that fits another table better, such as "looks like …"; None if it does not.

    Another table fits better if it has more of the file's columns, some of which this table lacks.
    """
    names = {*header} - {*columns.values()} | {*columns}
    fit = max(others, key=lambda other: len(names & {*other.names}), default=None)
    if fit is None or len(names & {*fit.names}) <= len(names & {*table.names}):
        return None
    only = [n for n in fit.names if n in names and n not in table]
    return f"looks like {fit.name}, not {table.name}: it has {', '.join(only)}"


def _proposals(
    header: Sequence[str], table: Table, taken: Collection[str], left_out: Sequence[str], missing: Sequence[str]
) -> dict[str, str]:
    """Columns of a header, by the missing column that they may be meant for."""
    proposals: dict[str, str] = {}
    other_names = _OF_EVENTS if table.name in DAILY else _OF_TABLE.get(table.name, _OF_TABLE["cells"])
    for target in (n for n in dict.fromkeys([*missing, *table.names]) if n not in taken):
        for source in header if target in missing else left_out:
            plain = source.lower().replace(" ", "_").replace("-", "_")
            alike = source in left_out and difflib.SequenceMatcher(None, plain, target).ratio() >= _ALIKE
            if source not in proposals.values() and (alike or plain in other_names.get(target, ())):
                proposals[target] = source
                break
    if len(missing) == 1 and len(left_out) == 1 and missing[0] not in proposals:
        proposals[missing[0]] = left_out[0]
    return proposals


def _complaint(header: Sequence[str], table: Table, missing: Sequence[str], left_out: Sequence[str]) -> str:
    complaints = [f"lacks {', '.join(missing)}"] if missing else []
    if left_out:
        complaints.append(f"has columns that {table.name} do not have: {', '.join(left_out)}")
    elif missing:
        complaints[0] += f" (it has: {', '.join(header)})"
    return " and ".join(complaints)


def _options(missing: Sequence[str], proposals: Mapping[str, str]) -> str:
    options = [f"--map {target}={source}" for target, source in proposals.items()]
    options += [f"--map {target}=COLUMN" for target in missing if target not in proposals]
    if missing:
        return " ".join(options)
    return f"{' '.join(options)}, or leave it out: {' '.join(f'--map {target}=' for target in proposals)}"
