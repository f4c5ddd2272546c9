"""The command line: `flowkit [--deployment DIR] COMMAND`."""

import datetime as dt
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from flowauth.commands import app as auth
from flowkit.deployment import ADMINISTRATOR, SETTINGS, Deployment, running, valid_name
from flowkit.errors import DeploymentError
from flowkit.terminal import counted, err, note, out, progress, show, table

app = typer.Typer(
    name="flowkit",
    help="Mobile operator data, aggregated with care: deliveries in, answers and reports out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
geography = typer.Typer(help="Boundaries of units, grids, and points.", no_args_is_help=True)
cells = typer.Typer(help="Cells of the network.", no_args_is_help=True)
sites = typer.Typer(help="Sites of the network.", no_args_is_help=True)
tacs = typer.Typer(help="Handset models.", no_args_is_help=True)
etl = typer.Typer(help="Days of data: what is in, and taking a day out.", no_args_is_help=True)
for name, group in (("geography", geography), ("cells", cells), ("sites", sites), ("tacs", tacs), ("etl", etl)):
    app.add_typer(group, name=name)
app.add_typer(auth, name="auth")

_place = Path()

Map = Annotated[
    list[str],
    typer.Option("--map", metavar="TARGET=SOURCE", help="Read FlowKit's column TARGET from the file's column SOURCE."),
]
TableName = Annotated[
    str, typer.Option("--table", metavar="SCHEMA.TABLE", help="What questions name it, such as geography.by_hand.")
]
File = Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="A CSV file.")]


@app.callback()
def _choose(
    deployment: Annotated[
        Path,
        typer.Option("--deployment", metavar="DIR", envvar="FLOWKIT_DEPLOYMENT", help="The deployment's directory."),
    ] = Path(),
) -> None:
    global _place  # noqa: PLW0603 - the one piece of state of a command line: which deployment it is about
    _place = deployment


@auth.callback()
def _auth() -> None:
    """FlowAuth of the deployment, or, where there is none, of the settings in the environment."""
    if (_place / SETTINGS).exists():
        os.environ.update(_deployment().flowauth_environment())


def _deployment() -> Deployment:
    return Deployment.open(_place)


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new directory.")],
    timezone: Annotated[str, typer.Option(help="The time zone whose days are counted, such as Asia/Kathmandu.")],
    store: Annotated[str | None, typer.Option(metavar="URL", help="Answer from this PostgreSQL database.")] = None,
    name: Annotated[str | None, typer.Option(help="The deployment's name; default: the directory's.")] = None,
) -> None:
    """Make a new empty deployment: settings, keys and a store."""
    called = name or directory.resolve().name
    if not valid_name(called):
        raise DeploymentError(f"{called!r} cannot name a deployment: use letters, digits and _.- in --name.")
    made = Deployment.create(directory, timezone, store, called)
    out.print(f"Made the deployment {made.name} in {made.path}, with days of {made.lake.timezone}.")
    out.print(
        f"FlowAuth's first administrator is {ADMINISTRATOR}, with the password in "
        f"{made.path / 'secrets' / 'FLOWAUTH_ADMIN_PASSWORD'}, which only you can read."
    )
    out.print(f"Next: flowkit --deployment {directory} geography load FILE --unit admin3 --code FIELD --name FIELD")


@geography.command("load")
def load_geography(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="GeoJSON, GeoPackage, Shapefile or CSV with wkt.")
    ],
    unit: Annotated[str, typer.Option(help="The level: admin0 to admin3, or a name of your own.")],
    code: Annotated[str, typer.Option(metavar="FIELD", help="The field that holds a unit's code.")],
    name: Annotated[str | None, typer.Option(metavar="FIELD", help="The field that holds a unit's name.")] = None,
    layer: Annotated[str | None, typer.Option(help="The layer of a GeoPackage.")] = None,
) -> None:
    """Load the boundaries of a level; features that share a code become one unit."""
    from flowdb.reference import geography as boundaries

    deployment = _deployment()
    loaded = boundaries.load(deployment.lake, files, unit=unit, code=code, name=name, layer=layer)
    _told(deployment, loaded, f"unit of {unit}", f"units of {unit}")


@geography.command("grid")
def make_grid(
    km: Annotated[float, typer.Option(metavar="KM", help="How wide a square is, in km.")],
    unit: Annotated[
        str | None, typer.Option(help="The level's name, which begins with grid-; default: such as grid-10km.")
    ] = None,
) -> None:
    """Make a level of equal squares that cover the country whose boundaries are loaded."""
    from flowdb.reference import geography as boundaries

    deployment = _deployment()
    _told(deployment, boundaries.grid(deployment.lake, km, unit=unit), "square")


@geography.command("points")
def load_points(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, GeoJSON, GeoPackage or Shapefile.")],
    table: TableName,
    columns: Map = [],  # noqa: B006
) -> None:
    """Load a table of points that questions of lon-lat can name as their geom_table."""
    from flowdb.reference import mappings

    deployment = _deployment()
    loaded = mappings.load_points(deployment.lake, file, table=table, columns=_mapping(columns))
    _told(deployment, loaded, "point")


@cells.command("load")
def load_cells(
    file: File,
    columns: Map = [],  # noqa: B006 - Typer's way to say none
    overlaps: Annotated[str, typer.Option(help="Versions of a cell that overlap in time: refuse, or cut.")] = "refuse",
) -> None:
    """Load the cells, in place of all former ones."""
    from flowdb.reference import cells as reference

    if overlaps not in ("refuse", "cut"):
        raise typer.BadParameter("it is refuse or cut.", param_hint="--overlaps")
    deployment = _deployment()
    loaded = reference.load(deployment.lake, file, _mapping(columns), overlaps=overlaps)  # type: ignore[arg-type]
    _told(deployment, loaded, "version of a cell", "versions of cells")


@cells.command("map")
def map_cells(file: File, table: TableName, columns: Map = []) -> None:  # noqa: B006
    """Load a table of which unit each cell belongs to, that questions can name as their mapping_table."""
    from flowdb.reference import mappings

    deployment = _deployment()
    loaded = mappings.load_mapping(deployment.lake, file, table=table, columns=_mapping(columns))
    _told(deployment, loaded, "cell")


@sites.command("load")
def load_sites(file: File, columns: Map = []) -> None:  # noqa: B006
    """Load the sites, in place of all former ones."""
    from flowdb.reference import sites as reference

    deployment = _deployment()
    loaded = reference.load(deployment.lake, file, _mapping(columns))
    _told(deployment, loaded, "version of a site", "versions of sites")


@tacs.command("load")
def load_tacs(file: File, columns: Map = []) -> None:  # noqa: B006
    """Load the handset models, in place of all former ones."""
    from flowdb.reference import tacs as reference

    deployment = _deployment()
    _told(deployment, reference.load(deployment.lake, file, _mapping(columns)), "handset model")


def _told(deployment: Deployment, loaded: Any, *what: str) -> None:
    for warning in loaded.warnings:
        note(warning)
    _mirror(deployment, [])
    out.print(f"Loaded {counted(loaded.rows, *what)}.")


@app.command()
def ingest(
    event_type: Annotated[
        str,
        typer.Argument(metavar="EVENT_TYPE", help="calls, sms, mds, topups, forwards, or transactions (mobile money)."),
    ],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="CSV, gzipped CSV or Parquet.")],
    columns: Map = [],  # noqa: B006
    timezone: Annotated[
        str | None, typer.Option(help="The zone of times without an offset; default: the deployment's.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="utf-8 or latin-1.")] = "utf-8",
    max_bad_lines: Annotated[
        int | None, typer.Option(min=0, help="Refuse a file with more bad lines; default: quarantine any number.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Let a day be replaced by less than half of it.")] = False,
    add: Annotated[bool, typer.Option("--add", help="Add late rows to days that are in already.")] = False,
) -> None:
    """Load deliveries of one event type; days are found in the data, and each is in wholly or not at all."""
    import flowetl

    deployment = _deployment()
    if encoding not in ("utf-8", "latin-1"):
        raise typer.BadParameter("it is utf-8 or latin-1.", param_hint="--encoding")
    with deployment.catalogue() as catalogue, progress(f"Loading {event_type}") as tell:
        reports = flowetl.ingest(
            deployment.lake,
            catalogue,
            event_type,
            files,
            key=deployment.pseudonym_key,
            columns=_mapping(columns),
            timezone_of_source=timezone,
            encoding=encoding,  # type: ignore[arg-type]
            max_bad_lines=max_bad_lines,
            replace=replace,
            late="add" if add else "refuse",
            progress=tell,
        )
    _mirror(deployment, [event_type])
    rows = table("day", "state", "delivered", "loaded", "duplicates", "quarantined", "at unknown cells")
    for r in reports:
        rows.add_row(
            str(r.day),
            r.state,
            *(f"{n:,}" for n in (r.delivered, r.loaded, r.duplicates, r.quarantined, r.unknown_cells)),
        )
    show(rows)
    for warning in dict.fromkeys(w for r in reports for w in r.warnings):
        note(warning)


def _mirror(deployment: Deployment, event_types: Sequence[str]) -> None:
    """Bring the PostgreSQL that mirrors the lake up to date, where there is one."""
    if deployment.mirrored:
        from flowdb import postgres

        postgres.copy_from_lake(deployment.lake, deployment.store, list(event_types))


def _mapping(columns: Sequence[str]) -> dict[str, str]:
    mapping = {}
    for given in columns:
        target, equals, source = given.partition("=")
        if not (target and equals and source):
            raise typer.BadParameter(f"{given!r} is not TARGET=SOURCE.", param_hint="--map")
        mapping[target] = source
    return mapping


@etl.command("status")
def etl_status() -> None:
    """Show the state of every day of every event type."""
    from flowdb import catalogue as books

    deployment = _deployment()
    with deployment.catalogue() as catalogue:
        books.mend(catalogue, deployment.lake)
        rows = table("event type", "day", "state", "since", "reason")
        for state in books.latest_states(catalogue):
            rows.add_row(
                state.event_type,
                str(state.day),
                state.state,
                f"{state.timestamp:%Y-%m-%d %H:%M} UTC",
                state.reason or "",
            )
    show(rows)


@etl.command("withdraw")
def etl_withdraw(
    event_type: Annotated[str, typer.Argument(metavar="EVENT_TYPE")],
    day: Annotated[dt.datetime, typer.Argument(formats=["%Y-%m-%d"], help="The day to take out.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the day's history.")],
) -> None:
    """Take a day out; answers that used it are not given again."""
    import flowetl

    deployment = _deployment()
    with deployment.catalogue() as catalogue:
        flowetl.withdraw(deployment.lake, catalogue, event_type, day.date(), reason)
    _mirror(deployment, [event_type])
    out.print(f"The {event_type} of {day.date()} are withdrawn.")


@app.command()
def synth(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty directory.")],
    subscribers: Annotated[int, typer.Option(help="How many people.")] = 20_000,
    days: Annotated[int, typer.Option(help="How many days.")] = 14,
    start: Annotated[dt.datetime, typer.Option(formats=["%Y-%m-%d"], help="The first day.")] = dt.datetime(2016, 1, 1),  # noqa: DTZ001
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 1,
    events_per_day: Annotated[float, typer.Option(help="Mean rows of a subscriber a day.")] = 18.0,
    mobile_money: Annotated[float, typer.Option(help="The share of people who have mobile money.")] = 0.0,
    calm: Annotated[bool, typer.Option("--calm", help="Without the flood that the country otherwise suffers.")] = False,
) -> None:
    """Write a synthetic country and its operator's daily deliveries as files."""
    import flowsynth

    with progress("Making a country") as tell:
        made = flowsynth.synthesise(
            directory,
            subscribers=subscribers,
            days=days,
            start=start.date(),
            seed=seed,
            events_per_day=events_per_day,
            crisis=None if calm else flowsynth.Crisis(),
            mobile_money=mobile_money,
            progress=tell,
        )
    out.print(f"Wrote {sum(made.rows.values()):,} events of {subscribers:,} subscribers on {days} days to {directory}.")


@app.command()
def up(
    autoflow: Annotated[bool, typer.Option(help="Run AutoFlow, where autoflow/inputs/workflows.yml is.")] = True,
) -> None:
    """Start FlowMachine, FlowAPI, FlowAuth and AutoFlow, and run until stopped by Ctrl-C or SIGTERM."""
    deployment = _deployment()
    _stop_on_sigterm()
    with running(deployment) as cut_off:
        if made := deployment.add_flowauth():
            out.print(f"Made what FlowAuth needs, in {deployment.path / 'secrets'}: {', '.join(made)}.")
        _serve(deployment, autoflow, cut_off)


def _serve(deployment: Deployment, autoflow: bool, cut_off: bool) -> None:
    from flowkit.services import services

    with services(deployment, autoflow=autoflow, cut_off=cut_off) as watch:
        out.print(
            f"{deployment.name} is up at {deployment.api_url}; what it answers: {deployment.api_url}/api/0/spec/redoc"
        )
        if deployment.has_flowauth:
            first = deployment.path / "secrets" / "FLOWAUTH_ADMIN_PASSWORD"
            out.print(
                f"People and their tokens: FlowAuth at {deployment.auth_url}"
                + (f"; {deployment.administrator} signs in first, with the password in {first}" * first.exists())
            )
        elif deployment.other_flowauth is not None:
            out.print(f"People and their tokens: the FlowAuth whose keys are at {deployment.other_flowauth}")
        out.print(f"A token: flowkit --deployment {deployment.path} token USER. Logs: {deployment.path / 'logs'}")
        try:
            watch.wait(lambda: False)
        except KeyboardInterrupt:
            out.print("Stopping.")


@app.command()
def token(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whom the token is for.")],
    role: Annotated[
        list[str], typer.Option("--role", help="A role of flowkit.toml; default: everything is allowed.")
    ] = [],  # noqa: B006
    days: Annotated[float, typer.Option(min=0.001, max=365, help="How long it holds.")] = 1,
) -> None:
    """Print a token for this deployment's API, alone on standard output."""
    sys.stdout.write(_deployment().token(user, role, days) + "\n")


@app.command()
def query(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A query spec as JSON, a file that holds one, or - .")],
    released: Annotated[bool, typer.Option(help="Only what the server would publish.")] = True,
    explain: Annotated[bool, typer.Option("--explain", help="Print the SQL instead.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
) -> None:
    """Run a query here, inside, and print its rows."""
    from flowmachine import parse

    asked = parse(_spec(spec))
    session = _deployment().session()
    try:
        release = released and asked.role == "Aggregate"
        if explain:
            sys.stdout.write(session.explain(asked, release=release) + "\n")
            return
        result = session.run(asked, release=release)
    finally:
        session.close()
    if csv:
        result.to_pandas().to_csv(sys.stdout, index=False)
        return
    rows = table(*result.column_names)
    shown = 40
    for row in result.slice(0, shown).to_pylist():
        rows.add_row(*("" if value is None else str(value) for value in row.values()))
    show(rows)
    more = f", of which {shown} are shown (--csv prints all)" if result.num_rows > shown else ""
    out.print(f"{counted(result.num_rows, 'row')}{more}.")


def _spec(given: str) -> Any:
    try:
        text = (
            sys.stdin.read()
            if given == "-"
            else given
            if given.lstrip()[:1] in ("{", "[", '"')
            else Path(given).read_text()
        )
    except OSError as problem:
        raise DeploymentError(f"{given} cannot be read: {problem.strerror}.") from None
    try:
        told = json.loads(text)
    except ValueError as problem:
        raise DeploymentError(f"The spec is not JSON: {problem}.") from None
    return told.get("spec", told) if isinstance(told, dict) else told


@app.command()
def status() -> None:
    """Show what the deployment holds and whether it is up."""
    from flowkit.checks import is_up

    deployment = _deployment()
    snapshot = deployment.lake.snapshot()
    rows = table("what", "holds")
    for event_type, days in sorted(snapshot.days.items()):
        held = sorted(days)
        rows.add_row(
            event_type,
            f"{counted(sum(d.rows for d in days.values()), 'row')}, {counted(len(held), 'day')}, "
            f"{held[0]} to {held[-1]}",
        )
    for unit in sorted(set(deployment.lake.reference("geography")["unit"].to_pylist())):
        of_unit = [u for u in deployment.lake.reference("geography")["unit"].to_pylist() if u == unit]
        rows.add_row(unit, counted(len(of_unit), "unit"))
    for what in ("cells", "sites", "tacs"):
        rows.add_row(what, counted(deployment.lake.reference(what).num_rows, "row"))
    rows.add_row("time zone", deployment.lake.timezone)
    rows.add_row("store", "PostgreSQL, mirroring the lake" if deployment.mirrored else str(deployment.store))
    rows.add_row("API", f"{deployment.api_url} is up" if is_up(deployment) else "not up: flowkit up")
    show(rows)


@app.command()
def doctor() -> None:
    """Say what is wrong with the deployment and how to mend it."""
    from flowkit.checks import CHECKS

    deployment = _deployment()
    ill = False
    for check in CHECKS:
        problem = check(deployment)
        ill |= problem is not None
        mark = ("✗", "red") if problem else ("✓", "green")
        out.print(Text.assemble(mark, " ", problem or (check.__doc__ or "").rstrip(".")))
    if ill:
        raise typer.Exit(1)


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to make it.")] = Path("demo"),
    once: Annotated[bool, typer.Option("--once", help="Stop when the report is there.")] = False,
    subscribers: Annotated[int, typer.Option(help="How many people.")] = 20_000,
    days: Annotated[int, typer.Option(min=9, help="How many days; the flood comes on the eighth.")] = 14,
) -> None:
    """Make a whole FlowKit with a synthetic country, from delivery to PDF report, and leave it running."""
    from flowkit.demo import run

    _stop_on_sigterm()
    run(directory, subscribers=subscribers, days=days, once=once)


def _stop_on_sigterm() -> None:
    import signal

    signal.signal(signal.SIGTERM, signal.default_int_handler)


def main() -> None:
    """Run the command line; an error is a sentence on standard error, and exit code 1."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    # Services on this machine are asked directly, whatever proxy it has for others.
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1")))
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as problem:
        if not _is_a_sentence(problem):
            raise
        err.print(Text.assemble(("Error:", "red"), " ", _sentence(problem)))
        sys.exit(1)


def _is_a_sentence(problem: Exception) -> bool:
    """Whether an error was written for the user; any other is a defect, and its traceback is wanted."""
    ours = {
        "DeploymentError",
        "LakeError",
        "IngestError",
        "FlowMachineError",
        "SynthesisError",
        "WorkflowsError",
        "FlowApiError",
        "Refused",
    }
    return isinstance(problem, OSError) or any(cls.__name__ in ours for cls in type(problem).__mro__)


def _sentence(problem: Exception) -> str:
    if isinstance(problem, OSError) and problem.strerror:
        where = f"{problem.filename}: " if problem.filename else ""
        return f"{where}{problem.strerror}."
    return str(problem)


if __name__ == "__main__":
    main()
