"""The demo: a synthetic country's deliveries become a PDF report, through every part of FlowKit."""

import shutil
import time
from importlib.resources import files
from pathlib import Path

from rich.text import Text

from flowdb.tables import LEVELS, USUAL_TYPES
from flowkit import demo_folder
from flowkit.deployment import PORTS, SETTINGS, Deployment, autoflow, creation, flowauth, tokens
from flowkit.deployment.lock import running
from flowkit.errors import DeploymentError
from flowkit.services import is_free, services
from flowkit.terminal import counted, out, progress
from flowkit_base.addresses import free_port
from flowkit_base.files import write_whole

TIMEZONE = "UTC"
PEOPLE = {"TEST_USER": False, "TEST_ADMIN": True}
"""Who can sign in, and whether they administer."""
PASSWORD = "DUMMY_PASSWORD"  # noqa: S105 - it is printed


def run(directory: Path, *, subscribers: int, days: int, once: bool) -> None:
    """Make the demo in a folder, or go on with the one in it, and print where its results are.

    Raises DeploymentError for a folder that no demo made: it could hold somebody's data.
    """
    began = time.monotonic()
    marker = demo_folder.claim(directory)
    deployment = _deployment(directory)
    with running(deployment) as cut_off:
        flowauth.add_secrets(deployment)
        if not marker.loaded:
            # A demo that was interrupted begins again here: each step replaces what a former one left.
            _load(deployment, subscribers, days)
            _notebooks(deployment)
            marker = demo_folder.record(directory, marker, loaded=True)
        with services(deployment, autoflow=False, cut_off=cut_off) as watch:
            if deployment.has_flowauth and not marker.people:
                _people(deployment)
                demo_folder.record(directory, marker, people=True)
            _report(deployment)
            _print_results(deployment, time.monotonic() - began)
            if once:
                return
            out.print(f"Running; Ctrl-C stops it, and `flowkit --deployment {directory} up` starts it again.")
            try:
                watch.wait(lambda: False)
            except KeyboardInterrupt:
                out.print("Stopping.")


def _deployment(directory: Path) -> Deployment:
    if (directory / SETTINGS).exists():
        return Deployment.open(directory)
    creation.fill(directory, TIMEZONE, name="demo")
    _free_ports(directory)
    return Deployment.open(directory)


def _print_results(deployment: Deployment, seconds: float) -> None:
    folder = deployment.path / "autoflow" / "outputs" / "reports"
    reports, commuting = sorted(folder.glob("flows_report*.pdf")), sorted(folder.glob("commuting_report*.pdf"))
    token = deployment.path / "secrets" / "demo-token.txt"
    write_whole(token, tokens.token(deployment, "demo", days=7), mode=0o600)
    out.print(f"FlowKit, from delivery to report in {seconds:.0f} s", style="bold")
    for what, value in (
        ("Report", reports[-1]),
        *([("", f"and {len(reports) - 1} more beside it, one a day since the flood")] if reports[1:] else []),
        *([("", "and a report of commuting in the week before it")] if commuting else []),
        ("API", f"{deployment.api_url}/api/0/spec/redoc"),
        *([("People", f"{deployment.auth_url}, which is FlowAuth")] if deployment.has_flowauth else []),
        *(
            [("", f"sign in as {' or '.join(PEOPLE)} with {PASSWORD}: this demo alone has them")]
            * deployment.has_flowauth
        ),
        ("Token", token),
        ("Python", f"flowclient.connect(url={deployment.api_url!r}, token={str(token)!r})"),
    ):
        out.print(Text.assemble((f"{what:8}", "bold"), str(value)))


def _load(deployment: Deployment, subscribers: int, days: int) -> None:
    import flowetl
    import flowsynth
    from flowdb.reference import cells, geography, sites, tacs

    delivery = deployment.path / "delivery"
    shutil.rmtree(delivery, ignore_errors=True)
    with progress("Making a country") as tell:
        country = flowsynth.synthesise(delivery, subscribers=subscribers, days=days, progress=tell)
    out.print(f"A country of {subscribers:,} subscribers: {sum(country.rows.values()):,} events on {days} days.")
    lake = deployment.lake
    # What an interrupted demo left may be another country: it is replaced whatever it looks like.
    for level in LEVELS:
        boundaries = delivery / "boundaries.geojson"
        geography.load(lake, boundaries, unit=level, code=f"{level}pcod", name=f"{level}name", insist=True)
    sites.load(lake, delivery / "sites.csv", insist=True)
    cells.load(lake, delivery / "cells.csv", insist=True)
    tacs.load(lake, delivery / "tacs.csv", insist=True)
    loaded = 0
    with deployment.catalogue() as catalogue:
        for event_type in USUAL_TYPES:
            with progress(f"Ingesting {event_type}") as tell:
                reports = flowetl.ingest(
                    lake,
                    catalogue,
                    event_type,
                    sorted((delivery / event_type).glob("*.csv")),
                    key=deployment.pseudonym_key,
                    replace=True,
                    progress=tell,
                )
            loaded += sum(r.loaded for r in reports)
    out.print(f"Ingested {loaded:,} rows; identifiers became keyed pseudonyms on the way in.")


def _notebooks(deployment: Deployment) -> None:
    """The examples' notebooks, with workflows for this country: each day since its flood, and the week before it."""
    from autoflow.examples import example_files

    inputs = deployment.path / "autoflow" / "inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    for example in ("flows_above_normal", "commuting"):
        for file, content in example_files(example).items():
            (inputs / file).write_bytes(content)
    (inputs / "workflows.yml").write_text((files("flowkit") / "demo_workflows.yml").read_text())


def _people(deployment: Deployment) -> None:
    """FlowKit's demonstration users, with the roles viewer and runner, and a password that is refused elsewhere."""
    import sqlalchemy as sa

    from flowauth.services import passwords, people
    from flowauth.tables import Role, Server

    with flowauth.database(deployment) as database, database.write() as session:
        named = sa.select(Role.id).join(Role.server).where(Server.name == deployment.name)
        roles = frozenset(session.scalars(named.where(Role.name.in_(("viewer", "runner")))))
        for name, is_admin in PEOPLE.items():
            if people.named(session, name) is None:
                user = people.create(session, "flowkit demo", name, None, is_admin=is_admin, roles=roles)
                user.password = passwords.hash_of(PASSWORD)


def _report(deployment: Deployment) -> None:
    from autoflow.app import run_once
    from autoflow.runs.run import Run, RunState

    autoflow.Token(deployment).issue()
    settings = autoflow.settings(deployment)
    with progress("Running notebooks on each day") as tell:
        ended: list[Run] = []

        def follow(run: Run) -> None:
            if run.state is not RunState.running:
                ended.append(run)
            tell(str(run.reference_date), len(ended), 0)

        runs = run_once(settings, follow)
    if failed := [run for run in runs if run.state is RunState.failed]:
        raise DeploymentError(f"The report of {failed[0].reference_date} failed: {failed[0].error}")
    out.print(f"AutoFlow ran {counted(len(runs), 'workflow')} of two notebooks each.")


def _free_ports(directory: Path) -> None:
    """Write other ports into a new demo's settings if the usual ones are taken."""
    path = directory / SETTINGS
    text = path.read_text()
    for name, port in PORTS.items():
        if not is_free(int(port)):
            text = text.replace(f"{name.lower()} = {port}", f"{name.lower()} = {free_port()}")
    write_whole(path, text)
