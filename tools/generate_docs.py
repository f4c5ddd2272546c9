"""Write the reference pages in docs/ from what the code declares: query kinds, tables, settings, commands.

    python tools/generate_docs.py                write docs/queries/, tables.md, settings.md and command-line.md
    python tools/generate_docs.py --check        write nothing, exit with 1 if one of them is stale
    python tools/generate_docs.py --only KIND    write the page of one query kind alone

Every page of a query kind shows the result of the kind's example on a synthetic country that is the same each time.
Pages are compared as text. A picture's bytes depend on the drawing library's version, so each picture names what it
was drawn from, and that is compared.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas
import typer
from generate_client import CLIENT_NAMES, NO_FUNCTION
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

import flowclient
import flowetl
import flowmachine
import flowsynth
from autoflow.settings import Settings as AutoFlow
from flowapi.settings import Settings as FlowAPI
from flowdb import cells, geography
from flowdb.catalogue import Catalogue
from flowdb.lake import Lake
from flowdb.tables import EVENTS, REFERENCE, SETTLED
from flowkit.__main__ import app
from flowmachine.catalogue import catalogue, schemas
from flowmachine.query import SLOTS, Query, kinds, parse, slot_members
from flowmachine.release import SMALLEST
from flowmachine.server.settings import Settings as FlowMachine

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.axes import Axes

    from flowmachine.session import Session

DOCS = Path(__file__).resolve().parent.parent / "docs"
WRITTEN = "<!-- Written by tools/generate_docs.py: change what it reads, not this. -->"

COUNTRY = {"seed": 1, "subscribers": 6000, "days": 8, "events_per_day": 8.0}
LEVELS = ("admin0", "admin1", "admin2", "admin3")
ROWS_SHOWN = 10
DRAWN = 2
"""The version of the drawings below: raise it when they change, so that former pictures are stale."""

ROLES = {
    "Aggregate": "asked by itself",
    "DailyLocation": "inside others: a location a day",
    "ReferenceLocation": "inside others: a location",
    "Locations": "inside others: many locations",
    "Metric": "inside others: a number",
}
"""Where a kind of each role may stand, in a table's cell."""
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
}
"""Types of columns and of JSON Schema, in plain words."""


LOCATION_COLUMNS = (
    "A location is told by its code in the columns that begin with `pcod`; at `lon-lat`, by its position in degrees "
    "(WGS84), in columns that begin with `lon` and `lat`."
)
KINDS_INTRODUCED = (
    "A query is a JSON object whose `query_kind` is one of these names. Kinds that are asked by themselves give "
    "aggregates. The others tell of single people; they are asked inside others and never released."
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
    made = flowsynth.synthesise(directory / "delivery", **COUNTRY)  # type: ignore[arg-type]
    lake = Lake.create(directory / "lake", "UTC")
    for level in LEVELS:
        geography.load(lake, made.boundaries, unit=level, code=f"{level}pcod", name=f"{level}name")
    cells.load_sites(lake, made.sites_file)
    cells.load_cells(lake, made.cells_file)
    cells.load_tacs(lake, made.tacs_file)
    books = Catalogue.open(f"sqlite:///{directory / 'catalogue.db'}")
    try:
        for event_type, files in made.events.items():
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
    lines += ["## Example", "", "```json", json.dumps(entry["example"], indent=2), "```", ""]
    lines += ["The same from Python:", "", "```python", *client_call(entry), "```", ""]
    lines += outcome(entry, result, picture)
    return "\n".join(lines)


def release_rule(kind: type[Query]) -> str:
    """How a kind counts people, and which of its rows leave the server."""
    if kind.role != "Aggregate":
        users = [f"[{name}]({name}.md)" for name, cls in kinds().items() if takes(cls, kind)]
        return (
            "Every row is about one person, so no row of it leaves the server: it is asked for inside another query. "
            f"These take it: {', '.join(users)}."
        )
    if kind.counts is None:
        return "It tells of nobody: every row is released."
    people = (
        f"`{kind.counts}` counts people"
        if kind.counts in kind.columns
        else "The different people behind each row are counted; their number is not itself in the result"
    )
    if kind.censored_whole:
        return (
            f"{people}. The result is released where every row stands for {SMALLEST} people or more; "
            "where one does not, the result is a single empty row."
        )
    return f"{people}. A row is released where it stands for {SMALLEST} people or more; other rows are left out."


def takes(kind: type[Query], other: type[Query]) -> bool:
    """Whether a parameter of a kind may hold a query of another kind."""
    return f'/{other.__name__}"' in json.dumps(schemas()[kind.__name__]["properties"])


def typed(schema: dict[str, Any]) -> str:
    """The type of a parameter in plain words, with its choices."""
    if "$ref" in schema:
        return referred(schema["$ref"].rpartition("/")[2])
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
    """A query kind by its page, or a block of parameters with its fields."""
    for name, cls in kinds().items():
        if cls.__name__ == component:
            return f"[{name}]({name}.md)"
    fields = schemas()[component]["properties"]
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
    spec = client_spec(example)
    # What the page shows is what this evaluates: our own text, made three lines above.
    meant = eval(compile(ast.parse(spec, mode="eval"), name, "eval"), {"flowclient": flowclient})  # noqa: S307
    if parse(meant) != parse(example):
        raise ValueError(f"{name}: flowclient's call does not mean the example; see client_spec in {__file__}.")
    if not entry["top_level"]:
        return f"spec = {spec}".splitlines()
    call = spec.replace(f"flowclient.{name}_spec(", f"flowclient.{name}(\n    connection=connection,", 1)
    return [*f"query = {call}".splitlines(), "query.get_result()"]


def client_spec(spec: dict[str, Any], indent: str = "") -> str:
    """The call of flowclient that makes a spec."""
    kind, inner = spec["query_kind"], indent + "    "
    lines = [f"flowclient.{kind}_spec("]
    for wire_name, value in spec.items():
        if wire_name != "query_kind":
            name = CLIENT_NAMES.get((kind, wire_name), wire_name)
            lines.append(f"{inner}{name}={client_value(value, inner)},")
    return "\n".join([*lines, f"{indent})"])


def client_value(value: Any, indent: str) -> str:
    """A value of a spec as flowclient takes it."""
    if isinstance(value, dict) and "query_kind" in value:
        return client_spec(value, indent)
    if isinstance(value, dict):
        # Blocks such as hours, bins and range are written as their values alone.
        values = [client_value(v, indent) for v in value.values() if v is not None]
        return values[0] if len(values) == 1 else f"({', '.join(values)})"
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        inner = indent + "    "
        return "\n".join(["[", *(f"{inner}{client_value(item, inner)}," for item in value), f"{indent}]"])
    return json.dumps(value) if isinstance(value, str) else repr(value)


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
        case _:
            return str(value)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table, and an empty line."""
    written = [" | ".join(c.replace("|", "\\|").replace("\n", " ") for c in row) for row in rows]
    return [f"| {' | '.join(header)} |", "|---" * len(header) + "|", *(f"| {row} |" for row in written), ""]


def query_index() -> str:
    """The table of all kinds."""
    rows = [
        (
            f"[{e['kind']}]({e['kind']}.md)",
            e["summary"],
            ROLES[e["role"]],
            unit_of(e),
            ", ".join(f"`{c}`" for c in e["columns"]),
        )
        for e in sorted(catalogue()["kinds"], key=lambda e: (not e["top_level"], e["kind"]))
    ]
    slots = [f"- `{slot}`: {', '.join(f'[{m}]({m}.md)' for m in slot_members(slot))}" for slot in sorted(SLOTS)]
    return "\n".join(
        [
            "# Query kinds",
            "",
            WRITTEN,
            "",
            KINDS_INTRODUCED,
            "",
            *table(("Kind", "It gives", "Where it stands", "Unit", "Columns"), rows),
            "Which kinds fit where, by the names of the API's schema:",
            "",
            *slots,
            "",
        ]
    )


def unit_of(entry: dict[str, Any]) -> str:
    """Where a kind's unit comes from."""
    if any(p["name"] == "aggregation_unit" for p in entry["parameters"]):
        return "`aggregation_unit`"
    return "of the query inside" if "pcod" in str(list(entry["columns"])) else "none"


# Pictures: drawn at 1x for a page, in few colours.

Draw = Callable[["Figure"], None]
GREY, INK, RAMP = "#dddddd", "#1f3b57", "YlOrBr"


def boundaries(session: Session) -> dict[str, geopandas.GeoDataFrame]:
    """The units of each level, by their codes."""
    found = {}
    for level in LEVELS:
        rows = session.run({"query_kind": "geography", "aggregation_unit": level}).to_pandas()
        shapes = geopandas.GeoSeries.from_wkb(rows["geom"], crs=4326).simplify(0.004)
        found[level] = geopandas.GeoDataFrame({"geometry": shapes.to_numpy()}, index=list(rows["pcod"]), crs=4326)
    return found


def drawing(query: Query, result: pa.Table, units: dict[str, geopandas.GeoDataFrame]) -> Draw | None:
    """How a result is drawn; None where it is no map, flow or series."""
    if query.role != "Aggregate":
        return None
    rows = result.to_pandas()
    if "lower_edge" in rows:
        return partial(draw_bars, rows=rows)
    if query.unit not in units:
        return None
    if "pcod_from" in rows:
        return partial(draw_flows, rows=rows, units=units[query.unit])
    if "date" in rows:
        return partial(draw_days, rows=rows, units=units[query.unit])
    return partial(draw_map, rows=rows, units=units[query.unit])


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


def draw_map(figure: Figure, rows: Any, units: geopandas.GeoDataFrame) -> None:
    """Units in the colour of their value; grey where nothing is released."""
    axes = bare(figure.subplots())
    if "value" not in rows:
        units.plot(ax=axes, color=GREY, edgecolor=INK, linewidth=0.5)
        return
    shade(figure, axes, units, rows.set_index("pcod")["value"], rows["value"].max())


def draw_days(figure: Figure, rows: Any, units: geopandas.GeoDataFrame) -> None:
    """A map a day, in one scale."""
    days = sorted(rows["date"].unique())[:3]
    every = figure.subplots(1, len(days), squeeze=False)[0]
    for day, axes in zip(days, every, strict=True):
        of_day = rows[rows["date"] == day].set_index("pcod")["value"]
        shade(figure, bare(axes), units, of_day, rows["value"].max(), scale=day == days[-1], axes_of_scale=list(every))
        axes.set_title(day, fontsize=8)


def shade(
    figure: Figure,
    axes: Axes,
    units: geopandas.GeoDataFrame,
    values: Any,
    most: float,
    *,
    scale: bool = True,
    axes_of_scale: Any = None,
) -> None:
    """Draw units in the colour of their value, from 0 to `most`, with a scale."""
    norm, ramp = Normalize(0, most), colormaps[RAMP]
    colours = [to_hex(ramp(norm(values[code]))) if code in values.index else GREY for code in units.index]
    units.plot(ax=axes, color=colours, edgecolor="white", linewidth=0.5)
    if scale:
        bar = figure.colorbar(
            ScalarMappable(norm, ramp), ax=axes_of_scale or axes, orientation="horizontal", shrink=0.5, aspect=30
        )
        bar.ax.tick_params(labelsize=7)
        bar.set_label("value; grey: not released", fontsize=7)


def draw_flows(figure: Figure, rows: Any, units: geopandas.GeoDataFrame) -> None:
    """An arrow a flow, and a disc a unit's stayers; as wide, or as large, as their number."""
    axes = bare(figure.subplots())
    units.plot(ax=axes, color="#eeeeee", edgecolor="#aaaaaa", linewidth=0.5)
    points = {code: (p.x, p.y) for code, p in units.geometry.representative_point().items()}
    known = rows.dropna()
    stays, moves = known[known["pcod_from"] == known["pcod_to"]], known[known["pcod_from"] != known["pcod_to"]]
    for row in stays.itertuples():
        axes.scatter(*points[row.pcod_from], s=500 * row.value / stays["value"].max(), color="#c8d6e5", zorder=2)
        axes.annotate(f"{row.value:,}", points[row.pcod_from], fontsize=7, ha="center", va="center", zorder=4)
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
    lines += ["### Added to every event", "", "Loading adds these to each event table.", "", *_columns(SETTLED)]
    lines += ["## Reference", ""]
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
        ("AutoFlow", "autoflow serve", AutoFlow),
    )
    for name, command, settings in services:
        lines += [f"## {name}", "", f"`flowkit up` starts it; alone it is `{command}`.", ""]
        described = settings.model_json_schema(mode="validation")["properties"]
        rows = []
        for field, info in settings.model_fields.items():
            schema = described[field]
            # A secret's default is shown as stars, so an empty one is told as none.
            default = schema.get("default")
            told = "none" if default in (None, "", "**********") else f"`{default}`"
            rows.append(
                (
                    f"`{field.upper()}`",
                    setting_type(schema),
                    "required" if info.is_required() else told,
                    info.description or "",
                )
            )
        lines += table(("Name", "Type", "Default", "Meaning"), rows)
    return "\n".join(lines)


def setting_type(schema: dict[str, Any]) -> str:
    """The type of a setting in plain words."""
    options = [o for o in schema.get("anyOf", [schema]) if o.get("type") != "null"]
    told = options[0]
    if told.get("format") == "password":
        return "text, secret"
    if "path" in told.get("format", ""):
        return "path"
    if "enum" in told:
        return " or ".join(f"`{choice}`" for choice in told["enum"])
    least, most = told.get("minimum"), told.get("maximum")
    over = told.get("exclusiveMinimum")
    bounds = f", over {over:,}" if over is not None else ""
    bounds += f", from {least:,}" if least is not None else ""
    bounds += f", to {most:,}" if most is not None else ""
    return TYPES.get(told.get("type", ""), "text") + bounds


def commands_page() -> str:
    """Every command of `flowkit`."""
    root: Any = typer.main.get_command(app)
    lines = ["# Command line", "", WRITTEN, "", f"{root.help}", "", *_options(root)]
    lines += ["An error is one sentence and exit code 1; wrong usage is exit code 2.", ""]
    for name, command in walk(root, "flowkit"):
        if getattr(command, "commands", None):
            continue
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        usage = " ".join([name, *(_metavar(a) for a in arguments)])
        usage += " [options]" if len(command.params) > len(arguments) else ""
        lines += [f"## {name}", "", f"    {usage}"]
        lines += ["", command.help, ""]
        if told := [(f"`{_metavar(a)}`", a.help or "") for a in arguments if a.help]:
            lines += table(("Argument", "Meaning"), told)
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
        told = option.help or ""
        told += " May be given more than once." if option.multiple else ""
        told += f" Also the environment variable `{option.envvar}`." if option.envvar else ""
        rows.append((names + (f" {_metavar(option)}" if option.metavar else ""), default, told))
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
    made = dict(generate(options.only))
    stale = [name for name, content in made.items() if is_stale(options.out / name, content)]
    there = {p.relative_to(options.out).as_posix() for p in (options.out / "queries").rglob("*") if p.is_file()}
    left = [] if options.only else sorted(there - set(made))
    if options.check:
        for name in stale:
            print(f"{options.out / name} is stale: run python tools/generate_docs.py", file=sys.stderr)
        for name in left:
            print(f"{options.out / name} is of no query kind any more: remove it", file=sys.stderr)
        return 1 if stale or left else 0
    for name in stale:
        path = options.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = made[name]
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        print(f"wrote {path}")
    for name in left:
        print(f"{options.out / name} is of no query kind any more: remove it", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
