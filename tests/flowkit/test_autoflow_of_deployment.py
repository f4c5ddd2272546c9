"""AutoFlow in a deployment: what its token permits and how long it lives, and how its runs are seen."""

import datetime as dt
from pathlib import Path

import jwt
import pytest
import sqlalchemy as sa

from autoflow.examples import copy_example
from autoflow.runs.run import Limits
from autoflow.runs.table import RunTable, open_run_table
from flowauth.tables import Token as Listed
from flowkit.checks import workflows_run
from flowkit.deployment import Deployment, autoflow, flowauth
from flowkit.deployment.creation import create
from flowkit.services import register
from flowkit_jwt_generator import verify_token

WORKFLOWS = """\
workflows: [{name: w, notebooks: {n: {filename: flows_report.ipynb}}}]
available_dates_sensor: {schedule: null, workflows: [{workflow_name: w}]}
"""


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    """An empty deployment with the notebooks of an example."""
    made = create(tmp_path / "ministry", timezone="Asia/Kathmandu")
    copy_example("flows_above_normal", autoflow.inputs(made))
    return made


def token_of(deployment: Deployment) -> str:
    return (deployment.path / "secrets" / "autoflow-token.txt").read_text().strip()


def scopes_of(deployment: Deployment) -> frozenset[str]:
    claims = verify_token(token_of(deployment), [deployment.signing_key.public_key()], deployment.name)
    return claims.roles["autoflow"]


def test_a_token_permits_what_notebooks_name_and_no_more() -> None:
    """Kinds and units that stand in no notebook are not granted; boundaries and checks only to who asks for them."""
    every = [
        *("run", "get_result", "get_available_dates", "get_qa_checks"),
        *("admin2:flows:flows", "admin2:flows:daily_location", "admin2:flows:modal_location", "admin3:flows:flows"),
        *("admin2:geography:geography", "admin2:spatial_aggregate:spatial_aggregate", "nonspatial:handset:handset"),
        *("nonspatial:subscriber_subset:daily_location", "admin2:flows:majority_location"),
    ]
    notebook = "unit = 'admin2'\nfc.flows_spec(from_location=fc.modal_location_from_dates_spec(...))"
    granted = autoflow.scopes_of_notebooks(every, [notebook])

    assert granted == [
        *("run", "get_result", "get_available_dates"),
        *("admin2:flows:flows", "admin2:flows:daily_location", "admin2:flows:modal_location"),
    ]
    more = autoflow.scopes_of_notebooks(every, [notebook, "fc.get_geography(); fc.get_qa_check_outcomes()"])
    assert set(more) - set(granted) == {"admin2:geography:geography", "get_qa_checks"}


def test_a_token_is_short_lived_and_taken_again_or_revoked(deployment: Deployment) -> None:
    """Starting again takes the same token, or revokes the former one; changed notebooks and time bring another."""
    autoflow.Token(deployment).issue()
    first = token_of(deployment)
    token = autoflow.Token(deployment)
    token.issue()
    said = jwt.decode(first, options={"verify_signature": False})

    assert token_of(deployment) == first
    assert said["exp"] - said["iat"] <= dt.timedelta(days=2).total_seconds() + 1
    assert 3 < len(scopes_of(deployment)) < 30
    token.keep()
    assert token_of(deployment) == first
    (autoflow.inputs(deployment) / "other.ipynb").write_text("radius_of_gyration_spec, histogram_aggregate_spec")
    token.keep()
    assert "nonspatial:histogram_aggregate:radius_of_gyration" in scopes_of(deployment)
    second = token_of(deployment)
    token._renewal = dt.datetime.now(dt.UTC)
    token.keep()
    assert token_of(deployment) != second
    assert (deployment.path / "secrets" / "autoflow-token.txt").stat().st_mode & 0o777 == 0o600


def test_flowauth_lists_one_living_token_however_often_autoflow_is_started(deployment: Deployment) -> None:
    """Where FlowAuth lists tokens, a start revokes the one of the start before."""
    flowauth.add_secrets(deployment)
    register(deployment)
    for _ in range(3):
        autoflow.Token(deployment).issue()

    with flowauth.database(deployment) as database, database.read() as session:
        listed = session.execute(sa.select(Listed.jti, Listed.revoked).where(Listed.name == "autoflow")).all()
    living = [jti for jti, revoked in listed if revoked is None]
    assert len(listed) == 3
    assert living == [jwt.decode(token_of(deployment), options={"verify_signature": False})["jti"]]


def test_a_role_of_the_settings_decides_instead(deployment: Deployment) -> None:
    """A role `autoflow` in flowkit.toml is what the token permits, whatever the notebooks say."""
    settings = deployment.path / "flowkit.toml"
    settings.write_text(settings.read_text().replace("[roles]", '[roles]\nautoflow = ["get_available_dates"]'))
    again = Deployment.open(deployment.path)
    autoflow.Token(again).issue()

    assert scopes_of(again) == {"get_available_dates"}


def test_runs_are_found_where_autoflow_keeps_them(deployment: Deployment) -> None:
    """`autoflow status`, `flowkit status` and `doctor` read the run table that `flowkit up` writes, and wrote."""
    (autoflow.inputs(deployment) / "workflows.yml").write_text(WORKFLOWS)
    table = RunTable(f"sqlite:///{deployment.path / 'autoflow' / 'runs.db'}", limits=Limits(max_attempts=1))
    for day, ended in (("2016-01-01", True), ("2016-01-02", False)):
        following = (dt.date.fromisoformat(day) + dt.timedelta(days=1)).isoformat()
        parameters = {"reference_date": day, "date_ranges": [[day, following]]}
        run = table.claim("w", parameters, dt.date.fromisoformat(day))
        assert run is not None
        assert table.succeed(run, ()) if ended else table.fail(run, "flows_report.ipynb, cell 3: KeyError: 'pcod'.")
    table.close()
    settings = deployment.path / "flowkit.toml"
    settings.write_text("autoflow_max_attempts = 1\n" + settings.read_text())
    deployment = Deployment.open(deployment.path)
    environment = autoflow.environment(deployment)
    own = open_run_table(autoflow.settings(deployment), read_only=True)
    seen = len(own.latest())
    own.close()

    assert "AUTOFLOW_DB_URI" not in environment
    assert seen == 2
    assert autoflow.runs(deployment) == "1 succeeded; 1 given up"
    problem = workflows_run(deployment)
    assert problem is not None
    assert problem.startswith("AutoFlow has given up w 2016-01-02 (failed 1 times, which is the limit: flows_report.ip")
