"""Parameters: small sizes work, bad ones are refused with one sentence."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flowsynth import Crisis, SynthesisError, synthesise


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"subscribers": 5}, "subscribers must be a whole number from 20"),
        ({"subscribers": 100.5}, "subscribers must be a whole number"),
        ({"days": 0}, "days must be a whole number from 1"),
        ({"days": True}, "days must be a whole number"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"sites": 10}, "sites must be a whole number from 120"),
        ({"events_per_day": float("nan")}, "events_per_day must be a number"),
        ({"start": "2016-01-01"}, "start must be a date such as 2016-01-01"),
        ({"start": datetime(2016, 1, 1)}, "start must be a date such as 2016-01-01"),  # noqa: DTZ001
        ({"start": date(9999, 12, 30)}, "past the end of the calendar"),
        ({"crisis": "flood"}, "crisis must be a Crisis or None"),
        ({"crisis": Crisis(day=0)}, "crisis.day must be a whole number from 1"),
        ({"crisis": Crisis(leaving=1.5)}, "crisis.leaving must be a number from 0 to 1"),
        (
            {"crisis": Crisis(unit="FK999")},
            "crisis.unit 'FK999' is no admin2 unit of this country; name one of FK1",
        ),
        ({"threads": 0}, "threads must be a whole number from 1"),
    ],
)
def test_bad_parameters_are_refused_in_one_sentence(tmp_path: Path, parameters: dict[str, Any], words: str):
    """A bad parameter is named, with what would do instead, and nothing is written."""
    with pytest.raises(SynthesisError) as refusal:
        synthesise(tmp_path / "new", **parameters)
    assert words in str(refusal.value)
    assert str(refusal.value).endswith(".")
    assert "\n" not in str(refusal.value)
    assert isinstance(refusal.value, ValueError)
    assert not (tmp_path / "new").exists()


def test_a_directory_with_files_is_left_alone(tmp_path: Path):
    """A delivery is never mixed with what is already there."""
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(SynthesisError, match="is not an empty directory"):
        synthesise(tmp_path, subscribers=20, days=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path):
    """A directory that cannot be made is refused with its path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SynthesisError, match=r"Cannot write .*file"):
        synthesise(tmp_path / "file" / "below", subscribers=20, days=1)


@pytest.mark.parametrize("parameters", [{"subscribers": 200, "days": 3}, {"subscribers": 20, "days": 1, "sites": 120}])
def test_small_sizes_work(tmp_path: Path, parameters: dict[str, Any]):
    """A handful of subscribers and a day are enough; a crisis that lies ahead changes nothing yet."""
    told: list[tuple[str, int, int]] = []
    summary = synthesise(tmp_path, **parameters, progress=lambda *step: told.append(step))
    assert (summary.crisis, summary.displaced) == (None, 0)
    assert sum(summary.rows.values()) > 5 * summary.subscribers * parameters["days"]
    assert all(path.is_file() for files in summary.events.values() for path in files)
    assert (
        duckdb.connect().sql(f"SELECT count(*) FROM '{summary.truth}/subscribers.parquet'").fetchall()[0][0]
        == summary.subscribers
    )
    assert told[-1] == ("days", parameters["days"], parameters["days"])
    assert [step for step, *_ in told[:5]] == ["country", "country", "people", "people", "days"]


def test_the_crisis_can_be_placed_or_left_out(tmp_path: Path):
    """The flood strikes the unit and day that were asked for, or does not come at all."""
    placed = synthesise(
        tmp_path / "placed",
        subscribers=500,
        days=3,
        crisis=Crisis(unit="FK201", day=2, leaving=1, returning=0),
    )
    assert placed.crisis == "FK201"
    rows = duckdb.connect().sql(f"SELECT DISTINCT from_admin3[:5] FROM '{placed.truth}/crisis.parquet'").fetchall()
    assert rows == [("FK201",)]
    none = synthesise(tmp_path / "none", subscribers=500, days=3, crisis=None)
    assert (none.crisis, none.displaced) == (None, 0)
    calm, struck = (summary.events["calls"][0].read_bytes() for summary in (none, placed))
    assert calm == struck
