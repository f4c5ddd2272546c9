"""Write the reference pages in docs/ from what the code declares: query kinds, tables, settings, commands.

    python tools/generate_docs.py                write docs/queries/, tables.md, settings.md, command-line.md,
                                                 flowauth-api.md and workflows.schema.json
    python tools/generate_docs.py --check        write nothing, exit with 1 if one of them is stale
    python tools/generate_docs.py --only KIND    write the page of one query kind alone

Every page of a query kind shows the result of the kind's example on a synthetic country that is the same each time.
Pages are compared as text. A picture's bytes depend on the drawing library's version, so each picture names what it
was drawn from, and that is compared.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import io
import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import describe_flowauth
import geopandas
import typer
from generate_client import CLIENT_NAMES, NO_FUNCTION
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_hex
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import MaxNLocator

import flowclient
import flowetl
import flowmachine
import flowsynth
from autoflow.definition.grammar import json_schema
from autoflow.settings import Settings as AutoFlow
from flowapi.settings import Settings as FlowAPI
from flowauth.settings import Settings as FlowAuth
from flowdb.lake import Lake
from flowdb.records import Catalogue
from flowdb.reference import cells, geography, sites, tacs
from flowdb.tables import EVENTS, REFERENCE, SETTLED, TRANSACTIONS, VISITS
from flowkit.__main__ import app
from flowmachine.catalogue import catalogue, has_location, schemas, takers
from flowmachine.questions.parsing import parse
from flowmachine.questions.query import Query
from flowmachine.questions.registry import kinds
from flowmachine.questions.roles import SLOTS
from flowmachine.questions.sampling import BernoulliRandomSample, RandomIDsRandomSample, SystemRandomSample
from flowmachine.questions.slots import slot_members
from flowmachine.release import PERCENT, SMALLEST
from flowmachine.server.settings import Settings as FlowMachine

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.axes import Axes

    from flowmachine.session import Session

DOCS = Path(__file__).resolve().parent.parent / "docs"
WRITTEN = "<!-- Written by tools/generate_docs.py: change what it reads, not this. -->"

SAMPLES = (SystemRandomSample, BernoulliRandomSample, RandomIDsRandomSample)
COUNTRY = {"seed": 1, "subscribers": 6000, "days": 8, "events_per_day": 8.0, "mobile_money": 0.3}
LEVELS = ("admin0", "admin1", "admin2", "admin3")
ROWS_SHOWN = 10
WIDTH = 120
"""How wide the lines of an example are."""
FOLDED = 50
"""From how many lines on an example's JSON is folded away."""
PANELS = 4
"""The most maps beside each other."""
DRAWN = 3
"""The version of the drawings below: raise it when they change, so that former pictures are stale."""

ROLES = {
    "DailyLocation": "a location on a day",
    "ModalLocation": "a location",
    "ReferenceLocation": "a location",
    "Locations": "many locations",
    "WeightedLocations": "locations, each with a weight",
    "Label": "a label",
    "Metric": "a number",
    "CategoricalMetric": "a category",
}
"""What a kind of each role tells of a subscriber, in a table's cell."""
BLOCKS = {"bins", "hours", "night_hours", "range"}
"""Parameters that flowclient takes as their values alone."""
ASKS_MORE = {
    "joined_spatial_aggregate": "For `max`, `min`, `mode` and `distr` there are more conditions: see above. For "
    "`sum`, `avg`, `stddev` and `variance`, what all but the two greatest contributors contribute must be at least "
    f"{PERCENT} % of what the greatest one does (the p-percent rule).",
    "unique_visitor_counts": "Both counts that it is the difference of must stand for so many, and so must it.",
}
"""What a kind asks of its rows beside what it declares."""
TYPES = {
    "string": "text",
    "int64": "whole number",
    "int32": "whole number",
    "int16": "whole number",
    "float64": "number",
    "binary": "bytes",
    "bool": "true or false",
    "date": "date",
    "timestamp": "date and time",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "object",
    "periods": "list of dates and times",
}
"""Types of columns and of JSON Schema, in plain words."""


LOCATION_COLUMNS = (
    "A location is told by its code in the columns that begin with `pcod`; at `lon-lat`, by its position in degrees "
    "(WGS84), in columns that begin with `lon` and `lat`."
)
KINDS_INTRODUCED = (
    "A query is a JSON object whose `query_kind` is one of these names. Kinds that are asked by themselves give "
    "aggregates. The others tell of single people; they are asked inside others and never released. "
    "[How each agrees](../agreement.md) with its definition and with FlowKit is a page of its own."
)
SAMPLES_INTRODUCED = (
    "Kinds that take `sampling` may be asked of a random sample of their subscribers: of a subscriber all rows are "
    "kept, or none. Samples are drawn by method, seed and subscriber alone, so they are the same each time and on each "
    "engine, and a larger sample of a seed holds the smaller one. Either `size` or `fraction` is given."
)
MONEY_INTRODUCED = (
    f"{TRANSACTIONS.description} Load it like events: `flowkit ingest transactions FILE`, a line a party, with "
    "`--map` for other names of columns. PostgreSQL holds it in FlowKit's tables `dfs.transactions`, "
    "`dfs.transactions_metadata`, `dfs.subscribers` and `dfs.transaction_types`."
)
TABLES_INTRODUCED = (
    "The tables of FlowDB. Names and meanings are FlowKit's. A column marked *pseudonym* leads to a person: the store "
    "holds a keyed pseudonym of it, a whole number, and never the value that was delivered."
)
SETTINGS_INTRODUCED = (
    "A service reads each setting from the file `/run/secrets/<NAME>`, else from the environment variable `<NAME>`. In "
    "a deployment made by `flowkit init`, settings that are not secret may also stand in `flowkit.toml`, by their "
    "names in small letters; files and variables win over that. A secret is never logged."
)


def country(directory: Path) -> Session:
    """Make the synthetic country of the examples in an empty directory, and open a session on it."""
    country = flowsynth.synthesise(directory / "delivery", **COUNTRY)  # type: ignore[arg-type]
    lake = Lake.create(directory / "lake", "UTC")
    for level in LEVELS:
        geography.load(lake, country.boundaries, unit=level, code=f"{level}pcod", name=f"{level}name")
    sites.load(lake, country.sites_file)
    cells.load(lake, country.cells_file)
    tacs.load(lake, country.tacs_file)
    books = Catalogue.open(f"sqlite:///{directory / 'catalogue.db'}")
    try:
        for event_type, files in country.events.items():
            # Invented people need no secret, and a fixed key gives the same pseudonyms each time.
            flowetl.ingest(lake, books, event_type, list(files), key=b"the people of these pages are invented")
    finally:
        books.close()
    return flowmachine.connect(lake.path)


def query_pages(session: Session, only: Sequence[str]) -> Iterator[tuple[str, str | bytes]]:
    """The page of each kind, and its picture where its result can be drawn."""
    units = boundaries(session)
    for entry in catalogue()["kinds"]:
        name = entry["kind"]
        if only and name not in only:
            continue
        query = parse(entry["example"])
        result = session.run(query, release=entry["top_level"])
        if not tells_something(result):
            raise ValueError(f"{name}: its example gives nothing in the country of these pages; choose another.")
        draw = drawing(query, result, units)
        picture = f"pictures/{name}.png" if draw else None
        yield f"queries/{name}.md", query_page(entry, query, result, picture)
        if draw and picture:
            yield f"queries/{picture}", drawn(draw, result)


def query_page(entry: dict[str, Any], query: Query, result: pa.Table, picture: str | None) -> str:
    """The page of one kind."""
    name = entry["kind"]
    lines = [f"# {name}", "", WRITTEN, "", entry["summary"], ""]
    if entry["description"]:
        lines += [entry["description"], ""]
    lines += ["## Parameters", ""]
    if entry["parameters"]:
        rows = [
            (
                f"`{p['name']}`",
                typed(p["schema"]),
                "required" if p["required"] else told_default(p["default"]),
                p["description"],
            )
            for p in sorted(entry["parameters"], key=lambda p: not p["required"])
        ]
        lines += table(("Name", "Type", "Default", "Meaning"), rows)
    else:
        lines += ["It has none.", ""]
    lines += ["## Columns", ""]
    lines += table(("Name", "Type"), [(f"`{c}`", TYPES[t]) for c, t in entry["columns"].items()])
    if query.unit is not None:
        lines += [
            LOCATION_COLUMNS,
            "",
        ]
    lines += ["## Who is counted, and what is released", "", release_rule(type(query)), ""]
    lines += ["## Example", "", *told_spec(entry["example"])]
    lines += ["The same from Python:", "", "```python", *client_call(entry), "```", ""]
    lines += outcome(entry, result, picture)
    return "\n".join(lines)


def tells_something(result: pa.Table) -> bool:
    """Whether a result has rows, and is not the empty row of one that is withheld."""
    return any(column.null_count < len(column) for column in result.columns)


def told_spec(spec: dict[str, Any]) -> list[str]:
    """A spec as the lines of a code block, folded away where it is long."""
    block = ["```json", *written(spec, always_split=True).splitlines(), "```", ""]
    if len(block) < FOLDED:
        return block
    return ["<details><summary>The question as JSON</summary>", "", *block, "</details>", ""]


def written(value: Any, indent: str = "", step: str = "  ", *, always_split: bool = False) -> str:
    """A value as JSON: on one line where it fits."""
    flat = json.dumps(value)
    if not isinstance(value, dict | list) or (len(indent) + len(flat) <= WIDTH and not always_split):
        return flat
    inner = indent + step
    if isinstance(value, dict):
        items = [f"{json.dumps(name)}: {written(item, inner, step)}" for name, item in value.items()]
        return "{\n" + ",\n".join(inner + item for item in items) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + written(item, inner, step) for item in value) + f"\n{indent}]"


def release_rule(kind: type[Query]) -> str:
    """How a kind counts people, and which of its rows leave the server."""
    if kind.role != "Aggregate":
        return f"Every row is about one person, so no row of it leaves the server. {users(kind)}"
    if kind.counts is None:
        return "It tells of nobody: every row is released."
    people = (
        f"`{kind.counts}` counts people"
        if kind.counts in kind.columns
        else "The different people behind each row are counted; their number is not itself in the result"
    )
    if kind.suppressed_together == ():
        return (
            f"{people}. The result is released where every row stands for {SMALLEST} people or more; "
            "where one does not, the result is a single empty row."
        )
    if kind.suppressed_together is not None:
        pair = len(kind.suppressed_together) > 1
        return (
            f"{people}. The rows of a {'pair of locations' if pair else 'location'} are released where each of them "
            f"stands for {SMALLEST} people or more; where one does not, all of them are left out. So are the rows of "
            "no known location."
        )
    if kind.contributions is not None and kind.kind not in ASKS_MORE:
        return (
            f"{people}. A row is released where it stands for {SMALLEST} people or more and no one makes up too much "
            f"of it: what all but the two greatest contributors contribute is at least {PERCENT} % of what the "
            "greatest one does (the p-percent rule). Other rows are left out."
        )
    released = f"{people}. A row is released where it stands for {SMALLEST} people or more; other rows are left out."
    return " ".join(filter(None, [released, ASKS_MORE.get(kind.kind)]))


def users(kind: type[Query]) -> str:
    """Which kinds take a kind that stands inside others."""
    users = [f"[{name}]({name}.md)" for name in takers(kind.kind)]
    users_sentence = f"These ask it: {', '.join(users)}. " if users else ""
    return f"{users_sentence}Any kind that has a `subscriber_subset` takes it there."


def typed(schema: dict[str, Any]) -> str:
    """The type of a parameter in plain words, with its choices."""
    if "$ref" in schema:
        return referred(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("discriminator", {}).get("propertyName") == "sampling_method":
        return "[sample](README.md#samples)"
    options = [o for o in schema.get("oneOf") or schema.get("anyOf") or [] if o.get("type") != "null"]
    if options:
        return " or ".join(typed(option) for option in options)
    if "enum" in schema:
        return " or ".join(f"`{choice}`" for choice in schema["enum"])
    kind = schema.get("type", "object")
    if kind == "null":
        return "always null"
    if kind == "array":
        return f"list of {typed(schema['items'])}"
    if schema.get("format") == "date":
        return "date (`2016-01-31`) or date and time (`2016-01-31T08:30:00`)"
    least, most = schema.get("minimum"), schema.get("maximum")
    bounds = f" from {least} to {most}" if least is not None and most is not None else ""
    return TYPES[kind] + bounds


def referred(component: str) -> str:
    """A query kind by its page, a slot by those of its kinds, or a block of parameters with its fields."""
    if component == "SubscriberQuery":
        return "[query about single people](README.md#asked-inside-others)"
    if component in SLOTS:
        return " or ".join(f"[{name}]({name}.md)" for name in slot_members(component))
    for name, cls in kinds().items():
        if cls.__name__ == component:
            return f"[{name}]({name}.md)"
    block = schemas()[component]
    if "properties" not in block:
        return "object, a GeoJSON polygon by name"
    fields = block["properties"]
    if len({json.dumps(typed(schema)) for schema in fields.values()}) == 1 and len(fields) > 2:
        return f"object ({', '.join(f'`{name}`' for name in fields)}: each a {typed(next(iter(fields.values())))})"
    inner = [f"`{name}`, {typed(schema)}: {schema['description'].rstrip('.')}" for name, schema in fields.items()]
    return f"object ({'; '.join(inner)})"


def told_default(value: Any) -> str:
    """A default in a table's cell."""
    return "none" if value is None else f"`{value}`"


def client_call(entry: dict[str, Any]) -> list[str]:
    """The lines of Python that ask the example through flowclient; checked to mean the example."""
    name, example = entry["kind"], entry["example"]
    if name in NO_FUNCTION:
        unit = example["aggregation_unit"]
        return [f'boundaries = flowclient.get_geography(connection=connection, aggregation_unit="{unit}")']
    names = shared_specs(example)
    before = [f"{called} = {client_spec(json.loads(spec), names)}" for spec, called in names.items()]
    call = client_spec(example, names)
    meant: dict[str, Any] = {"flowclient": flowclient}
    # What the page shows is what this runs: our own text, made three lines above.
    exec("\n".join([*before, f"spec = {call}"]), meant)  # noqa: S102
    if parse(meant["spec"]) != parse(example):
        raise ValueError(f"{name}: flowclient's call does not mean the example; see client_spec in {__file__}.")
    lines = [line for assignment in before for line in assignment.splitlines()]
    if not entry["top_level"]:
        return [*lines, *f"spec = {call}".splitlines()]
    call = call.replace(f"flowclient.{name}_spec(", f"flowclient.{name}(\n    connection=connection,", 1)
    return [*lines, *f"query = {call}".splitlines(), "query.get_result()"]


def shared_specs(example: dict[str, Any]) -> dict[str, str]:
    """The specs that stand more than once in an example, as JSON, and a name for each; those inside others first."""
    times: dict[str, int] = {}

    def count(value: Any) -> None:
        if isinstance(value, dict) and "query_kind" in value:
            key = json.dumps(value)
            first = key not in times
            if first:
                for item in value.values():
                    count(item)
            times[key] = times.get(key, 0) + 1
        elif isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                count(item)

    count(example)
    shared = [key for key, number in times.items() if number > 1]
    of_kind = [json.loads(key)["query_kind"] for key in shared]
    return {
        key: kind if of_kind.count(kind) == 1 else f"{kind}_{of_kind[: n + 1].count(kind)}"
        for n, (key, kind) in enumerate(zip(shared, of_kind, strict=True))
    }


def client_spec(spec: dict[str, Any], names: dict[str, str], indent: str = "") -> str:
    """The call of flowclient that makes a spec, with names for the specs inside that have one."""
    kind, inner = spec["query_kind"], indent + "    "
    passed = []
    for wire_name, value in spec.items():
        if wire_name != "query_kind":
            name = CLIENT_NAMES.get((kind, wire_name), wire_name)
            if wire_name in BLOCKS:
                values = [v for v in value.values() if v is not None]
                text = repr(values[0] if len(values) == 1 else tuple(values))
            else:
                text = client_value(value, names, inner)
            passed.append(f"{name}={text}")
    flat = f"flowclient.{kind}_spec({', '.join(passed)})"
    if indent and len(indent) + len(flat) <= WIDTH - 10 and "\n" not in flat:
        return flat
    return "\n".join([f"flowclient.{kind}_spec(", *(f"{inner}{text}," for text in passed), f"{indent})"])


def client_value(value: Any, names: dict[str, str], indent: str) -> str:
    """A value of a spec as flowclient takes it."""
    if isinstance(value, dict) and "query_kind" in value:
        return names.get(json.dumps(value)) or client_spec(value, names, indent)
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        inner = indent + "    "
        items = [client_value(item, names, inner) for item in value]
        flat = f"[{', '.join(items)}]"
        if "\n" not in flat and len(indent) + len(flat) <= WIDTH - 10:
            return flat
        return "\n".join(["[", *(f"{inner}{item}," for item in items), f"{indent}]"])
    return written(value, indent, "    ") if isinstance(value, dict | list | str) else repr(value)


def outcome(entry: dict[str, Any], result: pa.Table, picture: str | None) -> list[str]:
    """The example's result: how many rows, the first of them, and the picture."""
    people = f"{COUNTRY['subscribers']:,} invented people"
    if entry["top_level"]:
        said = f"What is released of it in a synthetic country of {people}"
    else:
        said = f"What a session inside the operator sees in a synthetic country of {people}; no server sends it"
    shown = min(ROWS_SHOWN, result.num_rows)
    rows = "1 row" if result.num_rows == 1 else f"{result.num_rows:,} rows"
    lines = [f"{said}: {rows}" + ("." if shown == result.num_rows else f", of which the first {shown} are these."), ""]
    lines += table(result.column_names, [[cell(v) for v in row.values()] for row in result.slice(0, shown).to_pylist()])
    if picture:
        lines += [f"![The result, drawn]({picture})", ""]
    return lines


def cell(value: Any) -> str:
    """A value of a result in a table's cell."""
    match value:
        case None:
            return ""
        case bytes():
            return "(WKB)"
        case float():
            return f"{value:.6g}"
        case list():
            return ", ".join(str(v).removesuffix(" 00:00:00") for v in value)
        case _:
            return str(value)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table, and an empty line."""
    written = [" | ".join(c.replace("|", "\\|").replace("\n", " ") for c in row) for row in rows]
    return [f"| {' | '.join(header)} |", "|---" * len(header) + "|", *(f"| {row} |" for row in written), ""]


def query_index() -> str:
    """The tables of all kinds."""
    entries = catalogue()["kinds"]

    def row(entry: dict[str, Any]) -> tuple[str, ...]:
        columns = ", ".join(f"`{c}`" for c in entry["columns"])
        return f"[{entry['kind']}]({entry['kind']}.md)", entry["summary"], unit_of(entry), columns

    alone = [row(e) for e in entries if e["top_level"]]
    inside = sorted((e for e in entries if not e["top_level"]), key=lambda e: (list(ROLES).index(e["role"]), e["kind"]))
    nested = [(*row(e)[:2], ROLES[e["role"]], *row(e)[2:]) for e in inside]
    slots = [f"- `{slot}`: {', '.join(f'[{m}]({m}.md)' for m in slot_members(slot))}" for slot in sorted(SLOTS)]
    return "\n".join(
        [
            "# Query kinds",
            "",
            WRITTEN,
            "",
            KINDS_INTRODUCED,
            "",
            "## Asked by themselves",
            "",
            *table(("Kind", "It gives", "Unit", "Columns"), alone),
            "## Asked inside others",
            "",
            *table(("Kind", "It gives", "Of each subscriber", "Unit", "Columns"), nested),
            "Which kinds fit where, by the names of the API's schema:",
            "",
            *slots,
            "",
            "## Samples",
            "",
            SAMPLES_INTRODUCED,
            "",
            *sampling_table(),
        ]
    )


def sampling_table() -> list[str]:
    """The fields of `sampling`, and its methods."""
    methods = {cls.model_fields["sampling_method"].annotation.__args__[0]: cls for cls in SAMPLES}  # type: ignore[union-attr]
    meanings = " ".join(f"`{name}`: {inspect.getdoc(cls)}" for name, cls in methods.items())
    rows = [("`sampling_method`", " or ".join(f"`{name}`" for name in methods), "required", meanings)]
    schema = SAMPLES[0].model_json_schema()
    for name, info in SAMPLES[0].model_fields.items():
        if name != "sampling_method":
            default = "required" if info.is_required() else told_default(info.default)
            narrower = " With `random_ids`, from -1 to 1." if name == "seed" else ""
            rows.append((f"`{name}`", typed(schema["properties"][name]), default, f"{info.description}{narrower}"))
    return table(("Name", "Type", "Default", "Meaning"), rows)


def unit_of(entry: dict[str, Any]) -> str:
    """Where a kind's unit comes from."""
    if any(p["name"] == "aggregation_unit" for p in entry["parameters"]):
        return "`aggregation_unit`"
    return "of the query inside" if "pcod" in str(list(entry["columns"])) else "none"


# Pictures: drawn at 1x for a page, in few colours.

Draw = Callable[["Figure"], None]
DrawUnits = Callable[..., None]
GREY, INK, RAMP = "#dddddd", "#1f3b57", "YlOrBr"
LINES = (INK, "#d08c2e", "#7a9e7e", "#a34a4a", "#7f7f9f", "#c0b283")


def boundaries(session: Session) -> dict[str, geopandas.GeoDataFrame]:
    """The units of each level, by their codes."""
    levels = {}
    for level in LEVELS:
        rows = session.run({"query_kind": "geography", "aggregation_unit": level}).to_pandas()
        shapes = geopandas.GeoSeries.from_wkb(rows["geom"], crs=4326).simplify(0.004)
        levels[level] = geopandas.GeoDataFrame({"geometry": shapes.to_numpy()}, index=list(rows["pcod"]), crs=4326)
    return levels


def drawing(query: Query, result: pa.Table, units: dict[str, geopandas.GeoDataFrame]) -> Draw | None:
    """How a result is drawn; None where it is no map, flow or series."""
    if query.role != "Aggregate":
        return None
    rows = result.to_pandas()
    if "lower_edge" in rows:
        return partial(draw_bars, rows=rows)
    if "grp" in rows:
        return partial(draw_periods, rows=rows)
    if query.unit not in units or not has_location(type(query)):
        return None
    of_level = units[query.unit]
    if "datetime" in rows:
        return partial(draw_series, rows=rows.assign(date=rows["datetime"].dt.tz_localize(None)))
    if "date" in rows and rows["date"].nunique() > PANELS:
        return partial(draw_series, rows=rows)
    draw = draw_flows if "pcod_from" in rows else draw_map
    known = rows.dropna(subset=[c for c in rows if c.startswith("pcod")])
    if "date" in rows:
        most = known["value"].max()
        return partial(draw_panels, rows=known, units=of_level, panel="date", draw=partial(draw_map, most=most))
    if "value_label" in rows:
        labels = [cell(label) or "none" for label in result["value_label"].to_pylist()]
        known = known.assign(value_label=[labels[n] for n in known.index])
        return partial(draw_panels, rows=known, units=of_level, panel="value_label", draw=draw)
    return partial(draw_one, rows=known, units=of_level, draw=draw)


def drawn(draw: Draw, result: pa.Table) -> bytes:
    """A picture as PNG; its text `Source` tells what it was drawn from."""
    figure = Figure(figsize=(5, 3.4), dpi=90, layout="constrained")
    draw(figure)
    data = io.BytesIO()
    figure.savefig(data, format="png", metadata={"Software": None, "Source": source_of(result)})
    return data.getvalue()


def source_of(result: pa.Table) -> str:
    """What a picture is drawn from: a digest of the rows, as pages tell them, and of the drawing's version."""
    rows = [[cell(v) for v in row.values()] for row in result.to_pylist()]
    return hashlib.sha256(json.dumps([DRAWN, result.column_names, rows]).encode()).hexdigest()[:16]


def told_source(png: bytes) -> bytes:
    """The text `Source` of a PNG file, with its key."""
    start = png.find(b"Source\0")
    return png[start : start + len(b"Source\0") + 16] if start >= 0 else b""


def draw_one(figure: Figure, rows: Any, units: geopandas.GeoDataFrame, draw: DrawUnits) -> None:
    """A single map or map of flows."""
    draw(figure, bare(figure.subplots()), rows, units)


def draw_panels(figure: Figure, rows: Any, units: geopandas.GeoDataFrame, panel: str, draw: DrawUnits) -> None:
    """A map, or a map of flows, for each value of a column: the most frequent ones, in their order."""
    of_most = rows.groupby(panel)["value"].sum().nlargest(PANELS).index
    labels = sorted(of_most)
    figure.set_size_inches(max(5.0, 2.5 * len(labels)), 2.6)
    for name, axes in zip(labels, figure.subplots(1, len(labels), squeeze=False)[0], strict=True):
        draw(figure, bare(axes), rows[rows[panel] == name], units)
        axes.set_title(str(name), fontsize=8)


def draw_map(
    figure: Figure, axes: Axes, rows: Any, units: geopandas.GeoDataFrame, *, most: float | None = None
) -> None:
    """Units in the colour of their value, from 0 to the greatest; grey where nothing is released."""
    if "value" not in rows:
        units.plot(ax=axes, color=GREY, edgecolor=INK, linewidth=0.5)
        return
    values = rows.set_index("pcod")["value"]
    norm, ramp = Normalize(0, values.max() if most is None else most), colormaps[RAMP]
    colours = [to_hex(ramp(norm(values[code]))) if code in values.index else GREY for code in units.index]
    units.plot(ax=axes, color=colours, edgecolor="white", linewidth=0.5)
    bar = figure.colorbar(ScalarMappable(norm, ramp), ax=axes, orientation="horizontal", shrink=0.6, aspect=25)
    bar.ax.tick_params(labelsize=7)
    bar.ax.xaxis.set_major_locator(MaxNLocator(4))
    bar.set_label("value; grey: not released", fontsize=7)


def draw_flows(figure: Figure, axes: Axes, rows: Any, units: geopandas.GeoDataFrame) -> None:
    """An arrow a flow, and a disc a unit's stayers; as wide, or as large, as their number."""
    units.plot(ax=axes, color="#eeeeee", edgecolor="#aaaaaa", linewidth=0.5)
    points = {code: (p.x, p.y) for code, p in units.geometry.representative_point().items()}
    stays, moves = rows[rows["pcod_from"] == rows["pcod_to"]], rows[rows["pcod_from"] != rows["pcod_to"]]
    for row in stays.itertuples():
        axes.scatter(*points[row.pcod_from], s=500 * row.value / stays["value"].max(), color="#c8d6e5", zorder=2)
        axes.annotate(f"{row.value:,.0f}", points[row.pcod_from], fontsize=7, ha="center", va="center", zorder=4)
    for row in moves.itertuples():
        arrow = FancyArrowPatch(
            points[row.pcod_from],
            points[row.pcod_to],
            connectionstyle="arc3,rad=0.2",
            arrowstyle="-|>",
            mutation_scale=9,
            shrinkA=12,
            shrinkB=12,
            linewidth=0.5 + 3 * row.value / moves["value"].max(),
            color=INK,
            alpha=0.8,
            zorder=3,
        )
        axes.add_patch(arrow)


def draw_series(figure: Figure, rows: Any) -> None:
    """A line a location over time."""
    axes = figure.subplots()
    for colour, (code, of_unit) in zip(itertools.cycle(LINES), rows.groupby("pcod"), strict=False):
        axes.plot(of_unit["date"], of_unit["value"], color=colour, linewidth=1.2, label=code)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("value", fontsize=8)
    axes.xaxis.set_major_locator(AutoDateLocator(maxticks=7))
    axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", fontsize=7, frameon=False)


def draw_periods(figure: Figure, rows: Any) -> None:
    """A bar a set of periods, and below it a dot for each period that is in the set."""
    rows = rows.sort_values("value", ascending=False)
    periods = sorted({period for grp in rows["grp"] for period in grp})
    bars, dots = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    bars.bar(range(len(rows)), rows["value"], color=INK)
    bars.set_ylabel("people", fontsize=8)
    bars.spines[["top", "right"]].set_visible(False)
    for n, grp in enumerate(rows["grp"]):
        present = set(grp)
        for at, period in enumerate(periods):
            dots.scatter(n, at, s=30, color=INK if period in present else GREY)
    dots.set_yticks(range(len(periods)), [str(period)[:16].removesuffix("T00:00") for period in periods])
    dots.set_xticks([])
    dots.invert_yaxis()
    dots.margins(y=0.3)
    dots.spines[:].set_visible(False)
    for axes in (bars, dots):
        axes.tick_params(labelsize=7, length=0)


def draw_bars(figure: Figure, rows: Any) -> None:
    """A bar a bin."""
    axes = figure.subplots()
    if not rows["value"].isna().any():
        widths = rows["upper_edge"] - rows["lower_edge"]
        axes.bar(rows["lower_edge"], rows["value"], width=widths, align="edge", color=INK, edgecolor="white")
    axes.set_xlabel("metric", fontsize=8)
    axes.set_ylabel("people", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def bare(axes: Axes) -> Axes:
    """Axes without a frame."""
    axes.set_axis_off()
    return axes


def tables_page() -> str:
    """The data dictionary."""
    lines = [
        "# Tables",
        "",
        WRITTEN,
        "",
        TABLES_INTRODUCED,
        "",
        "## Events",
        "",
    ]
    for event in EVENTS.values():
        lines += [f"### {event.name}", "", event.description, "", *_columns(event.columns)]
    lines += ["## Mobile money", "", f"### {TRANSACTIONS.name}", "", MONEY_INTRODUCED, ""]
    lines += _columns(TRANSACTIONS.columns)
    added = "Loading adds these to each event table, and to mobile money."
    lines += ["## Added by loading", "", added, "", *_columns(SETTLED)]
    lines += ["## Visits", "", VISITS.description, "", *_columns(VISITS.columns), "## Reference", ""]
    for reference in REFERENCE.values():
        lines += [f"### {reference.name}", "", reference.description, "", *_columns(reference.columns)]
    return "\n".join(lines)


def _columns(columns: Iterable[Any]) -> list[str]:
    return table(
        ("Column", "Type", "Meaning", "Unit", ""),
        [
            (
                f"`{c.name}`",
                "pseudonym" if c.identifies else TYPES[c.type],
                c.description,
                c.unit,
                "required" if c.required else "",
            )
            for c in columns
        ],
    )


def settings_page() -> str:
    """The settings of every service."""
    lines = [
        "# Settings",
        "",
        WRITTEN,
        "",
        SETTINGS_INTRODUCED,
        "",
    ]
    services: tuple[tuple[str, str, Any], ...] = (
        ("FlowMachine", "flowmachine", FlowMachine),
        ("FlowAPI", "flowapi", FlowAPI),
        ("FlowAuth", "python -m flowauth", FlowAuth),
        ("AutoFlow", "autoflow serve", AutoFlow),
    )
    for name, command, settings in services:
        lines += [f"## {name}", "", f"`flowkit up` starts it; alone it is `{command}`.", ""]
        described = settings.model_json_schema(mode="validation")["properties"]
        rows = []
        for field, info in settings.model_fields.items():
            schema = described[field]
            # A secret's default is shown as stars, so an empty one is shown as none.
            default = schema.get("default")
            shown = "none" if default in (None, "", "**********") else f"`{default}`"
            rows.append(
                (
                    f"`{field.upper()}`",
                    setting_type(schema),
                    "required" if info.is_required() else shown,
                    info.description or "",
                )
            )
        lines += table(("Name", "Type", "Default", "Meaning"), rows)
    return "\n".join(lines)


def setting_type(schema: dict[str, Any]) -> str:
    """The type of a setting in plain words."""
    options = [o for o in schema.get("anyOf", [schema]) if o.get("type") != "null"]
    option = options[0]
    if option.get("format") == "password":
        return "text, secret"
    if "path" in option.get("format", ""):
        return "path"
    if "enum" in option:
        return " or ".join(f"`{choice}`" for choice in option["enum"])
    least, most = option.get("minimum"), option.get("maximum")
    over = option.get("exclusiveMinimum")
    bounds = f", over {over:,}" if over is not None else ""
    bounds += f", from {least:,}" if least is not None else ""
    bounds += f", to {most:,}" if most is not None else ""
    return TYPES.get(option.get("type", ""), "text") + bounds


def commands_page() -> str:
    """Every command of `flowkit`."""
    root: Any = typer.main.get_command(app)
    lines = ["# Command line", "", WRITTEN, "", f"{root.help}", "", *_options(root)]
    lines += ["An error is one sentence and exit code 1; wrong usage is 2, Ctrl-C 130, SIGTERM 143.", ""]
    for name, command in walk(root, "flowkit"):
        if getattr(command, "commands", None):
            continue
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        usage = " ".join([name, *(_metavar(a) for a in arguments)])
        usage += " [options]" if len(command.params) > len(arguments) else ""
        lines += [f"## {name}", "", f"    {usage}"]
        lines += ["", command.help, ""]
        if command.epilog:
            example = command.epilog.removeprefix("Example: ")
            lines += ["Example:", "", "```sh", example, "```", ""]
        if described := [(f"`{_metavar(a)}`", a.help or "") for a in arguments if a.help]:
            lines += table(("Argument", "Meaning"), described)
        lines += _options(command)
    return "\n".join(lines)


def walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """A command and those below it, with their full names, in the order of `--help`."""
    yield name, command
    for called, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, f"{name} {called}")


def _options(command: Any) -> list[str]:
    rows = []
    for option in command.params:
        if option.param_type_name != "option" or option.hidden or option.name == "help":
            continue
        names = ", ".join(f"`{o}`" for o in (*option.opts, *option.secondary_opts))
        default = "required" if option.required else _default(option)
        meaning = option.help or ""
        meaning += " May be given more than once." if option.multiple else ""
        meaning += f" Also the environment variable `{option.envvar}`." if option.envvar else ""
        rows.append((names + (f" {_metavar(option)}" if option.metavar else ""), default, meaning))
    return table(("Option", "Default", "Meaning"), rows) if rows else []


def _default(option: Any) -> str:
    value = option.default
    if value in (None, [], (), False):
        return ""
    if hasattr(value, "date"):
        return f"`{value.date()}`"
    return "on" if value is True else f"`{value}`"


def _metavar(parameter: Any) -> str:
    return parameter.metavar or parameter.name.upper()


def generate(only: Sequence[str]) -> Iterator[tuple[str, str | bytes]]:
    """The path below docs/ and the content of each generated file."""
    with tempfile.TemporaryDirectory() as directory:
        session = country(Path(directory))
        try:
            yield from query_pages(session, only)
        finally:
            session.close()
    if not only:
        yield "queries/README.md", query_index()
        yield "tables.md", tables_page()
        yield "settings.md", settings_page()
        yield "command-line.md", commands_page()
        yield "flowauth-api.md", describe_flowauth.page(WRITTEN)
        yield "workflows.schema.json", json.dumps(json_schema(), indent=2) + "\n"


def is_stale(path: Path, content: str | bytes) -> bool:
    """Whether a file is not what would be written; a picture, whether it was drawn from something else."""
    if not path.is_file():
        return True
    if isinstance(content, bytes):
        return told_source(path.read_bytes()) != told_source(content)
    return path.read_text(encoding="utf-8") != content


def main(arguments: list[str] | None = None) -> int:
    """Write or check the pages and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, exit with 1 if a file is stale")
    parser.add_argument("--only", action="append", default=[], metavar="KIND", help="the page of this query kind alone")
    parser.add_argument("--out", type=Path, metavar="DIR", default=DOCS, help="where the pages are")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.only) - set(kinds())):
        print(f"There is no query kind {unknown[0]!r}; there are {', '.join(kinds())}.", file=sys.stderr)
        return 1
    pages = dict(generate(options.only))
    stale = [name for name, content in pages.items() if is_stale(options.out / name, content)]
    existing = {p.relative_to(options.out).as_posix() for p in (options.out / "queries").rglob("*") if p.is_file()}
    left = [] if options.only else sorted(existing - set(pages))
    if options.check:
        for name in stale:
            print(f"{options.out / name} is stale: run python tools/generate_docs.py", file=sys.stderr)
        for name in left:
            print(f"{options.out / name} is of no query kind any more: remove it", file=sys.stderr)
        return 1 if stale or left else 0
    for name in stale:
        path = options.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = pages[name]
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        print(f"wrote {path}")
    for name in left:
        print(f"{options.out / name} is of no query kind any more: remove it", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
