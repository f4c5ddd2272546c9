"""`flowkit lake clean`: withdrawn is withdrawn."""

import pytest
from tests.flowdb.test_lake_retention import DAY, age, files
from tests.flowdb.test_settled_visits import put
from tests.flowkit.living_deployment import Place, flowkit, refused


@pytest.fixture
def place(tmp_path):
    """A deployment with a day that was withdrawn 40 days ago."""
    made = Place(tmp_path / "deployment")
    assert flowkit("init", made.path, "--timezone", "UTC").returncode == 0
    put(made.lake, (1, 0, "a", True))
    made.lake.withdraw_day("calls", DAY, "they asked for it")
    age(made.lake)
    return made


@pytest.mark.takes_long("loads days several times, by commands")
def test_withdrawn_days_are_deleted_after_the_deployments_time(place):
    """With 60 days the files of a day withdrawn 40 days ago stay; by default they go, and its history stays."""
    place.set(lake_retention_days=60)
    assert "Deleted 0 files" in place.done("lake", "clean")
    assert "Kept 1 files" in place.done("lake", "clean")
    place.set(lake_retention_days=30)
    assert "Deleted 2 files" in place.done("lake", "clean")
    assert files(place.lake) == set()
    assert "they asked for it" in place.done("etl", "status")


def test_a_wrong_time_is_refused(place):
    """A retention that is no number of days is named, with the file to mend."""
    place.set(lake_retention_days='"soon"')
    assert "set lake_retention_days in" in refused(place.flowkit("lake", "clean"))
    assert place.flowkit("lake", "clean", "--older-than", "0").returncode == 2
