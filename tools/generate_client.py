"""Write flowclient's functions for the query kinds, from the catalogue that flowmachine makes of them.

    python tools/generate_client.py            write src/flowclient/{query_specs,aggregates,event_types,async_client}.py
    python tools/generate_client.py --check    write nothing, exit with 1 if one of them is stale

A kind becomes `<kind>_spec`, and, if it can be asked for by itself, also `<kind>(connection=...)`. The
asynchronous client functions are made from the blocking ones. What the catalogue cannot know is in the tables
below: the names, order and defaults that flowclient's functions have always had.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "flowclient"

_UNIT = "mapping_table geom_table geom_table_join_column"

_SUBSET = "event_types subscriber_subset"
_PERIODS = f"start_date total_periods period_unit period_length {_SUBSET} hours"
_SCORES = "tower_day_of_week_scores tower_hour_of_day_scores"
_CLUSTERS = f"aggregation_unit tower_cluster_radius tower_cluster_call_threshold {_SUBSET} {_UNIT}"

# The parameters of each function in their old order, by the names that flowclient calls them. These are sent
# even where they are null, as they have always been; parameters that came later follow, and are sent if given.
# The four kinds that flowclient 1.34 has no function for have the order of those that they are like.
ORDER = {
    "active_at_reference_location_counts": "reference_locations unique_locations",
    "aggregate_network_objects": "total_network_objects statistic aggregate_by",
    "calendar_activity": _PERIODS,
    "coalesced_location": "preferred_location fallback_location subscriber_location_weights weight_threshold",
    "consecutive_trips_od_matrix": f"start_date end_date aggregation_unit {_SUBSET} {_UNIT} hours",
    "daily_location": f"date aggregation_unit method {_SUBSET} {_UNIT} hours",
    "dfs_metric_total_amount": "start_date end_date metric aggregation_unit",
    "displacement": f"start_date end_date statistic reference_location {_SUBSET} hours",
    "dummy_query": f"dummy_param aggregation_unit dummy_delay {_UNIT}",
    "event_count": f"start_date end_date direction {_SUBSET} hours",
    "flows": "from_location to_location join_type",
    "handset": f"start_date end_date characteristic method {_SUBSET} hours",
    "histogram_aggregate": "metric bins range",
    "inflows": "from_location to_location join_type",
    "joined_spatial_aggregate": "locations metric method",
    "labelled_flows": "from_location to_location labels join_type",
    "labelled_spatial_aggregate": "locations labels",
    "localised_calendar_activity": f"{_PERIODS} locations",
    "location_event_counts": f"start_date end_date aggregation_unit count_interval direction {_SUBSET} {_UNIT} hours",
    "location_introversion": f"start_date end_date aggregation_unit direction {_UNIT} {_SUBSET} hours",
    "location_visits": "locations",
    "majority_location": "subscriber_location_weights minimum_total_weight include_unlocatable",
    "meaningful_locations_aggregate": f"start_date end_date label labels {_SCORES} {_CLUSTERS}",
    "meaningful_locations_between_dates_od_matrix": "start_date_a end_date_a start_date_b end_date_b "
    f"label labels {_SCORES} {_CLUSTERS}",
    "meaningful_locations_between_label_od_matrix": f"start_date end_date label_a label_b labels {_SCORES} {_CLUSTERS}",
    "mobility_classification": "locations stay_length_threshold",
    "modal_location": "locations",
    "most_frequent_location": f"start_date end_date aggregation_unit hours {_SUBSET} {_UNIT}",
    "nocturnal_events": f"start_date end_date hours {_SUBSET}",
    "outflows": "from_location to_location join_type",
    "pareto_interactions": f"start_date end_date proportion {_SUBSET} hours",
    "radius_of_gyration": f"start_date end_date {_SUBSET} hours",
    "spatial_aggregate": "locations",
    "subscriber_degree": f"start_date end_date direction {_SUBSET} hours",
    "topup_amount": "start_date end_date statistic subscriber_subset hours",
    "topup_balance": "start_date end_date statistic subscriber_subset hours",
    "total_active_periods": _PERIODS,
    "total_network_objects": f"start_date end_date aggregation_unit total_by {_UNIT} {_SUBSET} hours",
    "trips_od_matrix": f"start_date end_date aggregation_unit {_SUBSET} {_UNIT} hours",
    "unique_location_counts": f"start_date end_date aggregation_unit {_SUBSET} hours {_UNIT}",
    "unique_locations": f"start_date end_date aggregation_unit {_SUBSET} {_UNIT} hours",
    "unique_subscriber_counts": f"start_date end_date aggregation_unit {_UNIT} {_SUBSET} hours",
    "unique_visitor_counts": "active_at_reference_location_counts unique_subscriber_counts",
    "unmoving_at_reference_location_counts": "reference_locations unique_locations",
    "unmoving_counts": "unique_locations",
    "visited_most_days": f"start_date end_date aggregation_unit hours {_SUBSET} {_UNIT}",
}
# (kind, parameter on the wire): what flowclient calls it.
CLIENT_NAMES = {
    ("localised_calendar_activity", "reference_location"): "locations",
    ("location_event_counts", "interval"): "count_interval",
    ("nocturnal_events", "night_hours"): "hours",
    ("unmoving_at_reference_location_counts", "locations"): "unique_locations",
    ("unmoving_counts", "locations"): "unique_locations",
}
# (kind, flowclient's parameter): the default that flowclient adds to a parameter which the server demands.
DEFAULTS = {
    ("aggregate_network_objects", "aggregate_by"): "day",
    ("handset", "characteristic"): "hnd_type",
    ("handset", "method"): "last",
    ("joined_spatial_aggregate", "method"): "avg",
    ("localised_calendar_activity", "locations"): None,
}
# (kind, flowclient's parameter): left out of the spec unless given, because the server takes no null there.
LEFT_OUT = {("histogram_aggregate", "range")}
# (kind, flowclient's parameter): the function of spec_values that turns it into what the wire holds.
CONVERSIONS = {("location_event_counts", "count_interval"): "interval_name"}
# Parameters that have always taken more than some server does, which says so itself.
TYPES = {
    "subscriber_subset": "QuerySpec | str | None",
    "mapping_table": "str | None",
    "geom_table": "str | None",
    "geom_table_join_column": "str | None",
}
# (kind, flowclient's parameter): words that people may use beside the server's.
MORE_CHOICES = {("location_event_counts", "count_interval"): ["minute"]}
# Shared components: the Python type that people write, the conversion, and how it is written.
COMPONENTS = {
    "Hours": ("Hours", "hour_range", "Written as (first hour, hour after the last)."),
    "HistogramBins": ("Bins", "histogram_bins", "Written as their number, or as a list of their edges."),
    "Bounds": ("Bounds", "bounds", "Written as (least, greatest)."),
    "Labels": ("Polygons", None, ""),
    "WeekdayScores": ("DayScores", None, "Written as {'monday': score, ..., 'sunday': score}."),
}
# What flowclient says of a parameter beside the server's words.
MORE_WORDS = {"sampling": "random_sample_spec writes it into a spec."}
# Types as docstrings word them.
WORDS = {
    "Bins": "int or list of float",
    "Bounds": "pair of float",
    "Date": "date or str",
    "DayScores": "dict of float",
    "Hours": "pair of int",
    "Polygons": "dict of dict",
    "Query": "APIQuery or ASyncAPIQuery",
    "QueryMaker[Query]": "Connection or ASyncConnection",
    "QuerySpec": "dict",
    "list[QuerySpec]": "list of dict",
    "list[float]": "list of float",
    "list[str]": "list of str",
}
# What generated functions may use of spec_values.
VALUES = (
    "Bins, Bounds, Date, DayScores, Hours, Polygons, QuerySpec, bounds, day, days, given, histogram_bins, hour_range, "
    "interval_name, random_sample_spec"
)
HOW_WRITTEN = {type_: how for type_, _, how in COMPONENTS.values()}
# Functions of spec_values that stand beside those made here: they are of no kind.
WRITTEN_BY_HAND = ("random_sample_spec",)
# Kinds that have another function: get_geography.
NO_FUNCTION = {"geography"}
# A function that lists one query a day: (kind of the list, its parameter, kind of the day, its date).
DAILY = {"modal_location_from_dates": ("modal_location", "locations", "daily_location", "date")}

SCALARS = {
    "null": "None",
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "object": "QuerySpec",
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a function."""

    name: str
    wire_name: str
    type: str
    conversion: str | None
    required: bool
    default: Any
    always_sent: bool
    text: str

    @property
    def declaration(self) -> str:
        """The parameter as it stands in the signature."""
        return f"{self.name}: {self.type}" + ("" if self.required else f" = {self.default!r}")

    @property
    def described_type(self) -> str:
        """The type and the default as the docstring words them."""
        words = [WORDS.get(part, part) for part in self.type.split(" | ") if part != "None"]
        default = "" if self.required else ", optional" if self.default is None else f", default {self.default!r}"
        return " or ".join(words) + default

    @property
    def value(self) -> str:
        """The expression of what the spec holds."""
        return f"{self.conversion}({self.name})" if self.conversion else self.name


def parameters_of(kind: dict[str, Any]) -> list[Parameter]:
    """Return a kind's parameters in the order of the function's signature."""
    name = kind["kind"]
    order = ORDER.get(name, "").split()
    by_name = {p.name: p for p in (_parameter(name, p, order) for p in kind["parameters"])}
    lost = [p for p in order if p not in by_name]
    if lost:
        raise ValueError(
            f"{name}: the catalogue has no {', '.join(lost)}, which flowclient's function must keep; "
            "declare it in flowmachine, or change ORDER or CLIENT_NAMES in tools/generate_client.py."
        )
    new = sorted((p for p in by_name.values() if p.name not in order), key=lambda p: not p.required)
    if order and any(p.required for p in new):
        raise ValueError(
            f"{name}: {', '.join(p.name for p in new if p.required)} is required and new, which would break "
            "every program that uses flowclient; give it a default in flowmachine."
        )
    return [by_name[p] for p in order] + new


def _parameter(kind: str, declared: dict[str, Any], order: list[str]) -> Parameter:
    wire_name: str = declared["name"]
    name: str = CLIENT_NAMES.get((kind, wire_name), wire_name)
    schema = declared["schema"]
    type_, conversion = _python_type(wire_name, schema)
    default = DEFAULTS.get((kind, name), declared.get("default"))
    required = declared["required"] and (kind, name) not in DEFAULTS
    type_ = TYPES.get(name, type_)
    if default is None and not required and "None" not in type_:
        type_ += " | None"
    how = HOW_WRITTEN.get(type_.partition(" | ")[0])
    choices = ", ".join(_choices(schema) + MORE_CHOICES.get((kind, name), []))
    choices = choices and f"One of: {choices}."
    return Parameter(
        name=name,
        wire_name=wire_name,
        type=type_,
        conversion=CONVERSIONS.get((kind, name), conversion),
        required=required,
        default=default,
        # A null that was never sent in the past may be refused by servers of the past.
        always_sent=required or default is not None or (name in order and (kind, name) not in LEFT_OUT),
        text=" ".join(filter(None, [declared["description"], how, MORE_WORDS.get(name), choices])),
    )


def _python_type(name: str, schema: dict[str, Any]) -> tuple[str, str | None]:
    """Return the Python type of a parameter and the conversion that it needs."""
    options = schema.get("anyOf") or schema.get("oneOf")
    if "$ref" in schema:
        return COMPONENTS.get(schema["$ref"].rpartition("/")[2], ("QuerySpec", None, ""))[:2]
    if options and "discriminator" not in schema:
        typed = [_python_type(name, option) for option in options]
        types = dict.fromkeys(part for type_, _ in typed for part in type_.split(" | "))
        in_order = sorted(types, key=lambda type_: type_ == "None")
        return " | ".join(in_order), next((conversion for _, conversion in typed if conversion), None)
    kind = schema.get("type", "string" if "enum" in schema or "const" in schema else "object")
    if kind == "array":
        inner, _ = _python_type(name, schema.get("items", {"type": "object"}))
        return f"list[{inner}]", None
    if kind == "string" and (schema.get("format", "").startswith("date") or re.search(r"(^|_)date(_|$)", name)):
        return "Date", "day"
    return SCALARS[kind], None


def _choices(schema: dict[str, Any]) -> list[str]:
    """Return the words that a parameter may be, or hold."""
    if "const" in schema:
        return [str(schema["const"])]
    if "enum" in schema:
        return [str(choice) for choice in schema["enum"] if choice is not None]
    inner = [schema.get("items", {}), *schema.get("anyOf", [])]
    return [choice for part in inner if isinstance(part, dict) and part for choice in _choices(part)]


def spec_function(kind: dict[str, Any]) -> str:
    """Return the source of `<kind>_spec`."""
    parameters = parameters_of(kind)
    entries = [f'"query_kind": "{kind["kind"]}"']
    entries += [f'"{p.wire_name}": {p.value}' for p in parameters if p.always_sent]
    given = [f"{p.wire_name}={p.value}" for p in parameters if not p.always_sent]
    if given:
        entries.append(f"**given({', '.join(given)})")
    body = f"return {{{', '.join(entries)},}}"
    return _function(f"{kind['kind']}_spec", parameters, kind, body, returns="QuerySpec", result="A query spec.")


def query_function(kind: dict[str, Any]) -> str:
    """Return the source of `<kind>(connection=...)`."""
    parameters = parameters_of(kind)
    connection = Parameter(
        name="connection",
        wire_name="",
        type="QueryMaker[Query]",
        conversion=None,
        required=True,
        default=None,
        always_sent=False,
        text="What connect() or connect_async() returned.",
    )
    passed = ", ".join(f"{p.name}={p.name}" for p in parameters)
    body = f"return connection.make_api_query({kind['kind']}_spec({passed}))"
    columns = ", ".join(f"{name} ({type_})" for name, type_ in kind["columns"].items())
    result = f"A query whose result has the columns {columns}."
    return _function(kind["kind"], [connection, *parameters], kind, body, returns="Query", result=result)


def daily_function(name: str, kinds: dict[str, dict[str, Any]]) -> str:
    """Return the source of a function that makes one query of each day and puts them into a list."""
    outer, parameter, inner, date = DAILY[name]
    dates = {
        "start_date": "First day.",
        "end_date": "Day after the last day; later than start_date.",
    }
    of_day = parameters_of(kinds[inner])
    template = next(p for p in of_day if p.name == date)
    parameters = [replace(template, name=n, text=t) for n, t in dates.items()]
    parameters += [p for p in of_day if p.name != date]
    passed = ", ".join(f"{p.name}={p.name}" for p in of_day)
    body = f"return {outer}_spec({parameter}=[{inner}_spec({passed}) for {date} in days(start_date, end_date)])"
    kind = {**kinds[outer], "description": f"It is made of one {inner} a day."}
    return _function(f"{name}_spec", parameters, kind, body, returns="QuerySpec", result="A query spec.")


def _function(
    name: str, parameters: list[Parameter], kind: dict[str, Any], body: str, *, returns: str, result: str
) -> str:
    signature = ", ".join(p.declaration for p in parameters)
    lines = [kind["summary"], ""]
    if kind.get("description"):
        lines += [*textwrap.wrap(" ".join(kind["description"].split()), 100), ""]
    lines += ["Parameters", "----------"]
    for p in parameters:
        lines += [f"{p.name} : {p.described_type}", *_indented(p.text)]
    lines += ["", "Returns", "-------", WORDS[returns], *_indented(result)]
    docstring = "\n".join(lines).replace("\\", "\\\\").replace('"""', "'''") + "\n"
    return f"def {name}(*, {signature}) -> {returns}:\n" + textwrap.indent(f'"""{docstring}"""\n{body}\n', "    ")


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, 96, initial_indent="    ", subsequent_indent="    ")


def module(summary: str, functions: dict[str, str], by_hand: Iterable[str] = ()) -> str:
    """Return a module's source, with more imports and excuses than it may need."""
    exports = ", ".join(f'"{name}"' for name in sorted([*functions, *by_hand]))
    return "\n".join(
        [
            f'"""{summary}\n',
            'Written by tools/generate_client.py from the catalogue of query kinds: change that, not this.\n"""\n',
            "# ruff: noqa: A002, E501\n",
            "from __future__ import annotations\n",
            "from flowclient.connection import Query, QueryMaker",
            f"from flowclient.spec_values import {VALUES}\n",
            f"__all__ = [{exports},]\n\n",
            "\n\n".join(functions.values()),
        ]
    )


def async_client(source: str) -> str:
    """Return the source of the asynchronous client functions, made from that of the blocking ones."""
    _, _, body = source.partition('"""\n\nfrom __future__')
    for pattern, replacement in (
        (r"^from flowclient\.connection import Connection$", "from flowclient.async_connection import Connection"),
        (r"^def connect\(", "def connect_async("),
        (r"^def ", "async def "),
        (r"\bConnection\b", "ASyncConnection"),
        (r"\bconnection\.perform\(", "await connection.perform("),
    ):
        body = re.sub(pattern, replacement, body, flags=re.MULTILINE)
    return (
        '"""Asking FlowAPI from asynchronous programs: the functions of `flowclient.client`, to be awaited.\n\n'
        'Written by tools/generate_client.py from client.py: change that, not this.\n"""\n\nfrom __future__' + body
    )


def event_types(catalogue: dict[str, Any]) -> str:
    """Return the source of the module that names the event types."""
    parameters = [p for kind in catalogue["kinds"] for p in kind["parameters"] if p["name"] == "event_types"]
    names = tuple(dict.fromkeys(choice for parameter in parameters for choice in _choices(parameter["schema"])))
    return (
        '"""The event types that queries may name.\n\n'
        'Written by tools/generate_client.py from the catalogue of query kinds: change that, not this.\n"""\n\n'
        f"EVENT_TYPES: tuple[str, ...] = {names!r}\n"
    )


def generate(catalogue: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Return the name and the formatted source of each generated module."""
    kinds = {kind["kind"]: kind for kind in catalogue["kinds"] if kind["kind"] not in NO_FUNCTION}
    nested = {f"{name}_spec": spec_function(kind) for name, kind in kinds.items() if not kind["top_level"]}
    nested |= {f"{name}_spec": daily_function(name, kinds) for name, parts in DAILY.items() if parts[0] in kinds}
    top: dict[str, str] = {}
    for name, kind in kinds.items():
        if kind["top_level"]:
            top |= {f"{name}_spec": spec_function(kind), name: query_function(kind)}
    texts = {
        "query_specs.py": module("Specs of the queries that other queries are made of.", nested, WRITTEN_BY_HAND),
        "aggregates.py": module("The queries that FlowAPI answers, as specs and over a connection.", top),
        "event_types.py": event_types(catalogue),
        "async_client.py": async_client((PACKAGE / "client.py").read_text(encoding="utf-8")),
    }
    for name, text in texts.items():
        yield name, _formatted(name, text)


def _formatted(name: str, text: str) -> str:
    command = [sys.executable, "-m", "ruff"]
    for arguments in (["format", "--quiet"], ["check", "--fix", "--quiet"], ["format", "--quiet"]):
        done = subprocess.run(
            [*command, *arguments, "--stdin-filename", str(PACKAGE / name), "-"],
            input=text,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode:
            raise ValueError(
                f"{name}: ruff refuses what was made of the catalogue: {(done.stderr or done.stdout).strip()}"
            )
        text = done.stdout
    return text


def read_catalogue(path: Path | None) -> dict[str, Any]:
    """Return the catalogue in a file, or flowmachine's own."""
    if path is not None:
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as fault:
            raise ValueError(f"{path}: cannot be read as a catalogue ({fault}).") from fault
    try:
        from flowmachine.catalogue import catalogue  # noqa: PLC0415  # not needed with --catalogue
    except ImportError as fault:
        raise ValueError(
            f"flowmachine's catalogue cannot be loaded ({fault}): install the project (make setup), "
            "or name a file with --catalogue."
        ) from fault
    return catalogue()


def main(arguments: list[str] | None = None) -> int:
    """Write or check the generated modules and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--catalogue", type=Path, metavar="FILE", help="catalogue as JSON instead of flowmachine's")
    parser.add_argument("--out", type=Path, metavar="DIR", default=PACKAGE, help="where the modules are")
    parser.add_argument("--check", action="store_true", help="write nothing, exit with 1 if a module is stale")
    options = parser.parse_args(arguments)
    try:
        texts = dict(generate(read_catalogue(options.catalogue)))
    except ValueError as fault:
        print(fault, file=sys.stderr)
        return 1
    stale = [
        name
        for name, text in texts.items()
        if not (path := options.out / name).is_file() or path.read_text(encoding="utf-8") != text
    ]
    if options.check:
        for name in stale:
            print(f"{options.out / name} is stale: run python tools/generate_client.py", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (options.out / name).write_text(texts[name], encoding="utf-8")
        print(f"wrote {options.out / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
