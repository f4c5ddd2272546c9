"""The benchmarks, on a lake so small that only their rows matter."""

import json

import pytest
from bench.data import Size, bench_lake
from bench.questions import QUESTIONS

from bench import run as bench


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def lake(directory):
    return bench_lake(directory, Size.of(20_000))


@pytest.mark.takes_long("runs the benchmarks once on little data")
def test_the_benchmarks_run_and_tell(lake, directory):
    """Every question gives the rows of its hand-written SQL, and the page and the figures tell of each."""
    page = directory / "page.md"
    results = bench.main(["--events", "20000", "--repeat", "1", "--directory", str(directory), "--page", str(page)])
    assert [r.name for r in results] == list(QUESTIONS)
    assert all(r.rows > 0 and r.ratio > 0 for r in results)
    told = page.read_text()
    assert all(f"| {name} |" in told for name in QUESTIONS)
    # What was not measured is not described.
    assert "{" not in told
    assert "**PostgreSQL**" not in told
    figures = json.loads((directory / "results.json").read_text())
    assert figures["events"] == 20_000
    assert len(figures["times"]) == len(QUESTIONS)


def test_every_hand_written_question_is_asked():
    """No file of hand-written SQL is left out, and no question lacks one."""
    assert sorted(file.stem for file in (bench.HERE / "handwritten").iterdir()) == sorted(QUESTIONS)


def test_different_rows_are_noticed(lake, monkeypatch):
    """A question whose rows differ from the hand-written SQL's stops the benchmark by name."""
    other = bench.hand_written("geography", lake.snapshot()).replace("ORDER BY pcod", "ORDER BY pcod DESC")
    monkeypatch.setattr(bench, "hand_written", lambda name, snapshot: other)
    with pytest.raises(bench.DifferentRows, match="geography"):
        list(bench.run(lake, ["geography"], repeat=1, threads=2))


def test_a_made_lake_is_used_again(lake, directory):
    """A lake that is there already is not made again."""
    assert bench_lake(directory, Size.of(20_000)).snapshot().days == lake.snapshot().days


def test_wrong_arguments_are_refused_in_a_sentence(capsys):
    """A question that is not there is refused, and those that are there are named."""
    with pytest.raises(SystemExit):
        bench.main(["--questions", "weather"])
    assert "there is no question 'weather': name some of daily_location_last" in capsys.readouterr().err
