"""`flowkit ingest` that is killed; tests/flowetl kills the loading itself, more often and at finer moments."""

import random
import signal
import subprocess
import time

import pyarrow.parquet as pq
import pytest
from tests.flowkit.living_deployment import COMMAND, DAYS, Place, environment, flowkit

KILLS = 2


@pytest.mark.takes_long("kills and repeats a load of several days")
def test_a_killed_ingest_leaves_whole_days(delivery, model, tmp_path):
    """Killed at random moments, an ingest leaves whole days only, status works, and a last run loads the rest."""
    place = Place(tmp_path / "deployment")
    assert flowkit("init", place.path, "--timezone", "Asia/Kathmandu").returncode == 0
    files = sorted((delivery / "calls").glob("*.csv"))
    delivered = {day: len(file.read_text().splitlines()) - 1 for day, file in zip(DAYS, files, strict=True)}
    command = [*COMMAND, "--deployment", str(place.path), "ingest", "calls", *map(str, files)]
    began = time.monotonic()
    # How long a whole load takes is found with a deployment that has all already.
    assert model.flowkit("ingest", "calls", *files).returncode == 0
    whole = time.monotonic() - began
    draw, seen = random.Random(3), set()
    for _ in range(KILLS):
        process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(whole * draw.uniform(0.5, 1.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        held = _held(place)
        assert seen <= held.keys(), "what was in stays in"
        assert held == {day: delivered[day] for day in held}
        seen = set(held)
        assert ("calls" in place.done("status")) == bool(held)
        assert "loading" not in place.done("etl", "status")
    place.done("ingest", "calls", *files)
    assert _held(place) == delivered
    states = [line.split()[2] for line in place.done("etl", "status").splitlines()[1:]]
    assert states == ["ingested"] * len(DAYS)
    assert not list((place.path / "lake" / "tmp").iterdir())


def _held(place):
    """The rows of each day that is in; each day's file is read."""
    days = place.lake.snapshot().days.get("calls", {})
    for stored in days.values():
        assert pq.read_table(stored.files[0], partitioning=None).num_rows == stored.rows
    return {str(day): stored.rows for day, stored in days.items()}
