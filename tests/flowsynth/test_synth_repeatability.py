"""The same parameters give the same bytes, and days do not depend on each other."""

import hashlib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from flowsynth import Crisis, Summary, synthesise
from flowsynth.events import write_day
from flowsynth.parameters import Parameters
from flowsynth.world import make_world

SMALL: dict[str, Any] = {"subscribers": 400, "days": 4, "events_per_day": 10.0, "crisis": Crisis(day=3)}


def hashes(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return synthesise(tmp_path_factory.mktemp("small"), **SMALL, threads=1)


def test_one_seed_gives_the_same_bytes_with_any_number_of_threads(small: Summary, tmp_path: Path):
    """Two runs with one seed write identical files, whatever the number of threads."""
    synthesise(tmp_path, **SMALL, threads=3)
    assert hashes(tmp_path) == hashes(small.directory)


def test_another_seed_gives_another_country_and_other_events(small: Summary, tmp_path: Path):
    """Another seed changes every file."""
    synthesise(tmp_path, **SMALL, seed=2)
    ours, theirs = hashes(small.directory), hashes(tmp_path)
    assert ours.keys() == theirs.keys()
    assert not [name for name in ours if ours[name] == theirs[name]]


def test_a_day_can_be_made_alone(small: Summary, tmp_path: Path):
    """A day made on its own is, byte for byte, the day of the whole delivery."""
    for event_type in small.events:
        (tmp_path / event_type).mkdir()
    world = make_world(Parameters(**SMALL))
    rows = write_day(world, 2, tmp_path)
    assert sum(rows.values()) > 0
    whole = hashes(small.directory)
    assert hashes(tmp_path).items() <= whole.items()


def test_a_longer_period_begins_like_a_shorter_one(small: Summary, tmp_path: Path):
    """Asking for more days adds files of events and changes none."""
    longer = synthesise(tmp_path, **{**SMALL, "days": 6})
    assert longer.end == date(2016, 1, 6)
    ours = {name: digest for name, digest in hashes(small.directory).items() if "_2016" in name}
    assert len(ours) == 16
    assert ours.items() <= hashes(tmp_path).items()


def test_large_days_are_written_in_parts_without_a_seam(small: Summary, tmp_path: Path, monkeypatch):
    """A day too large for memory is written in parts of the day, still in the order of time and complete."""
    monkeypatch.setattr("flowsynth.events._BLOCK_ROWS", 300)
    parts = synthesise(tmp_path, **SMALL)
    for event_type, files in parts.events.items():
        for path in files:
            times = [
                line.split(",")[1 + (event_type in ("calls", "sms"))] for line in path.read_text().splitlines()[1:]
            ]
            assert times == sorted(times)
            ids = [line.split(",")[0] for line in path.read_text().splitlines()[1:]]
            assert ids == sorted(ids)
    for event_type, rows in parts.rows.items():
        assert rows == pytest.approx(small.rows[event_type], rel=0.2)


def test_an_interrupted_run_leaves_only_whole_files(small: Summary, tmp_path: Path):
    """A run that is stopped leaves no file that looks whole and is not."""

    def stop(step: str, done: int, _total: int) -> None:
        if step == "days" and done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesise(tmp_path, **SMALL, progress=stop, threads=1)
    whole = hashes(small.directory)
    left = {name: digest for name, digest in hashes(tmp_path).items() if name.endswith(".csv")}
    assert left.items() <= whole.items()
    assert len([name for name in left if name.startswith("calls")]) < 4
