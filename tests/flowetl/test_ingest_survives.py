"""Loads that are killed, starved of disk, or run beside each other."""

import datetime as dt
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from flowdb.lake import sweep
from flowdb.records import available_dates, latest_states, mend

PROGRAM = Path(__file__).with_name("ingest_process.py")
DAYS = [dt.date(2016, 1, d) for d in range(1, 9)]


@pytest.fixture
def delivered(deployment):
    """A delivery of eight days, each of a known number of rows."""
    files, rows = [], {}
    for n, day in enumerate(DAYS):
        path = deployment.inbox / f"calls_{day}.csv"
        rows[day] = 4000 + 500 * n
        duckdb.sql(
            f"SELECT 'e' || range AS id, true AS outgoing, TIMESTAMP '{day}' + to_seconds(range) AS datetime, "
            f"'p' || range % 99 AS msisdn, 'C' || range % 9 AS location_id FROM range({rows[day]})"
        ).write_csv(str(path))
        files.append(path)
    return files, rows


def _start(deployment, files, limit=0):
    catalogue = deployment.catalogue.engine.url.database
    command = [sys.executable, str(PROGRAM), str(deployment.lake.path), catalogue, str(limit), *map(str, files)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def _whole(deployment, rows):
    """Every day that is in has all its rows, its file is readable, and so are its visits, which count all of them."""
    days = deployment.lake.snapshot().days.get("calls", {})
    for day, stored in days.items():
        assert stored.rows == rows[day]
        assert pq.read_table(stored.files[0], partitioning=None).num_rows == rows[day]
        assert sum(pq.read_table(stored.visits[0], partitioning=None)["events"].to_pylist()) == rows[day]
    return set(days)


@pytest.mark.takes_long("kills and repeats loads")
def test_a_killed_load_leaves_nothing_half_done(deployment, delivered):
    """Killed in each of its steps, a load leaves whole days only, and the last run completes it."""
    files, rows = delivered
    steps: list[int] = []
    # Of the days, the kill comes while the next one is written, however slow the machine is.
    for step, times in (("reading", 1), ("cleaning", 1), ("loading", 1), ("loading", 2), ("loading", 3)):
        process = _start(deployment, files)
        lines = (line for line in process.stdout if line.startswith(step))
        assert all(next(lines, "") for _ in range(times))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        process.stderr.close()
        now = _whole(deployment, rows)
        assert len(now) >= (steps[-1] if steps else 0)
        steps.append(len(now))
    # Some of the kills came between the first day and the last.
    assert any(0 < step < len(DAYS) for step in steps), steps
    deployment.load(*files)
    assert _whole(deployment, rows) == set(DAYS)
    assert available_dates(deployment.catalogue) == {"calls": DAYS}
    assert {s.state for s in latest_states(deployment.catalogue)} == {"ingested"}
    assert not list((deployment.lake.path / "tmp").iterdir())
    # What the kills left is swept up, and nothing of the days that are in.
    sweep(deployment.lake, dt.timedelta(0))
    days = deployment.lake.snapshot().days["calls"].values()
    assert set((deployment.lake.path / "visits").rglob("*.parquet*")) == {
        file for stored in days for file in stored.visits
    }
    assert mend(deployment.catalogue, deployment.lake) == 0


@pytest.mark.parametrize(
    ("step", "number", "name"),
    [("cleaning rows", signal.SIGINT, "Ctrl-C"), ("loading rows 0", signal.SIGTERM, "SIGTERM")],
)
def test_a_stopped_load_says_so(deployment, delivered, step, number, name):
    """Stopped by Ctrl-C or SIGTERM, a load says so and what is loaded, and ends with the usual exit code."""
    files, rows = delivered
    process = _start(deployment, files)
    assert any(line.startswith(step) for line in process.stdout)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in out + err
    days = len(_whole(deployment, rows))
    loaded = "1 day of this run is" if days == 1 else f"{days} days of this run are"
    last = out.splitlines()[-1]
    assert last.startswith(f"Stopped by {name}. {loaded} loaded; of the calls of the day at hand nothing was stored.")
    reasons = {state.reason for state in latest_states(deployment.catalogue) if state.state == "failed"}
    assert reasons <= {"The load was stopped: run it again."}
    assert not list((deployment.lake.path / "tmp").iterdir())


def test_the_catalogue_is_mended_from_the_lake(deployment, delivered):
    """What a kill between lake and catalogue left unrecorded is recorded from the lake's own facts."""
    from flowdb.records import Catalogue, get_checks, record_state

    files, _ = delivered
    deployment.load(*files[:2])
    lost = Catalogue.open(f"sqlite:///{deployment.inbox}/new.db")
    record_state(lost, "calls", DAYS[4], "loading")
    record_state(lost, "calls", DAYS[5], "ingested")
    assert mend(lost, deployment.lake) == 4
    assert available_dates(lost) == {"calls": DAYS[:2]}
    assert get_checks(lost) == get_checks(deployment.catalogue)
    states = {s.day: (s.state, s.reason) for s in latest_states(lost)}
    assert states[DAYS[4]] == ("failed", "The load was cut off: run it again.")
    assert states[DAYS[5]][0] == "withdrawn"
    assert mend(lost, deployment.lake) == 0


@pytest.mark.takes_long("kills and repeats loads")
def test_a_full_disk_is_a_sentence_and_nothing_half_done(deployment, delivered):
    """Where files cannot grow, the load says so, and runs again once they can."""
    files, rows = delivered
    process = _start(deployment, files, limit=40_000)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert "he disk is full" in out
    assert "Nothing of the day at hand was stored" in out
    assert "Traceback" not in out + err
    assert _whole(deployment, rows) == set()
    deployment.load(*files)
    assert _whole(deployment, rows) == set(DAYS)
    assert not [p for p in deployment.lake.path.rglob("*.parquet*") if p.stat().st_size == 0]


def test_loads_of_different_days_run_beside_each_other(deployment, delivered):
    """Two processes that load the two halves of a delivery at once both succeed."""
    files, rows = delivered
    both = [_start(deployment, half) for half in (files[:4], files[4:])]
    for process in both:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err
    assert _whole(deployment, rows) == set(DAYS)
    assert available_dates(deployment.catalogue) == {"calls": DAYS}


def test_two_loads_of_one_day_do_not_mix(deployment, delivered):
    """Of two loads of the same days at once, each day is whole, and who comes second is told or finds it done."""
    files, rows = delivered
    both = [_start(deployment, files) for _ in range(2)]
    ends = []
    for process in both:
        out, err = process.communicate(timeout=60)
        ends.append(process.returncode)
        assert process.returncode == 0 or "Another load of the calls of 2016-01-0" in out, out + err
    assert 0 in ends
    assert _whole(deployment, rows) == set(DAYS)
