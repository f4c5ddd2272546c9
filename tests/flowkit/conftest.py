import shutil
import subprocess

import pytest
from tests.flowkit.living_deployment import EVENT_TYPES, LEVELS, SUBSCRIBERS, Place, Up, flowkit


@pytest.fixture(scope="session")
def said():
    """What each command of the session's deployment said while it was made, by the command."""
    return {}


@pytest.fixture(scope="session")
def delivery(tmp_path_factory, said):
    """A synthetic operator's delivery of eight days."""
    place = tmp_path_factory.mktemp("operator") / "delivery"
    said["synth"] = _good(flowkit("synth", place, "--subscribers", SUBSCRIBERS, "--days", 8, "--calm"))
    return place


@pytest.fixture(scope="session")
def model(tmp_path_factory, delivery, said):
    """A deployment with boundaries, cells and eight days; nobody changes it."""
    made = Place(tmp_path_factory.mktemp("model") / "nepal.test")
    said["init"] = _good(flowkit("init", made.path, "--timezone", "Asia/Kathmandu"))
    for level in LEVELS:
        fields = ("--code", f"{level}pcod", "--name", f"{level}name")
        said[level] = _good(
            made.flowkit("geography", "load", delivery / "boundaries.geojson", "--unit", level, *fields)
        )
    for what in ("sites", "cells", "tacs"):
        said[what] = _good(made.flowkit(what, "load", delivery / f"{what}.csv"))
    for event_type in EVENT_TYPES:
        said[event_type] = _good(made.flowkit("ingest", event_type, *sorted((delivery / event_type).glob("*.csv"))))
    return made


@pytest.fixture(scope="session")
def copy_of_model(model, tmp_path_factory):
    """Copy the deployment, to be changed."""

    def copy():
        place = Place(tmp_path_factory.mktemp("copy") / "nepal.test")
        shutil.copytree(model.path, place.path)
        return place

    return copy


@pytest.fixture(scope="session")
def start_up():
    """Start a deployment; what is left running at the end is stopped."""
    started = []

    def start(place, **options):
        started.append(Up(place, **options))
        return started[-1]

    yield start
    for up in started:
        try:
            up.stop()
        except subprocess.TimeoutExpired:
            up.process.kill()
            up.process.wait()


@pytest.fixture(scope="session")
def served(copy_of_model, start_up):
    """A deployment that is up, for tests that only ask."""
    return start_up(copy_of_model())


@pytest.fixture(scope="session")
def token(served):
    """A token that allows everything."""
    return served.place.token("ann")


def _good(done):
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done
