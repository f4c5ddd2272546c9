"""Clocks: the schedule across changes of the hour, and clocks that are set while AutoFlow waits or runs."""

import datetime as dt
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from autoflow.runs import table as run_table
from autoflow.runs.run import Limits
from autoflow.runs.table import RunTable
from autoflow.schedule.cron import next_tick
from autoflow.schedule.waiting import Until, stamp, wait

DAY = dt.date(2016, 1, 2)


def ticks(cron: str, timezone: str, start: str, stop: str) -> list[str]:
    """Every tick between two moments of UTC, as the clock on the wall of the zone shows it, with its offset."""
    now, end = (dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC) for text in (start, stop))
    found = []
    while (now := next_tick(cron, now, timezone)) < end:
        found.append(now.astimezone(ZoneInfo(timezone)).strftime("%d %H:%M%z"))
    return found


@pytest.mark.parametrize(
    ("cron", "timezone", "start", "stop", "shown"),
    [
        # Without a zone of its own, a schedule knows no summer.
        ("30 2 * * *", "UTC", "2026-03-28", "2026-03-31", ["28 02:30+0000", "29 02:30+0000", "30 02:30+0000"]),
        # 02:30 does not come on the 29th.
        ("30 2 * * *", "Europe/Paris", "2026-03-28", "2026-03-31", ["28 02:30+0100", "29 03:30+0200", "30 02:30+0200"]),
        # 02:30 comes twice on the 25th.
        ("30 2 * * *", "Europe/Paris", "2026-10-24", "2026-10-27", ["24 02:30+0200", "25 02:30+0200", "26 02:30+0100"]),
        ("0 0 * * *", "Asia/Kathmandu", "2026-01-01", "2026-01-03", ["02 00:00+0545", "03 00:00+0545"]),
        # Midnight does not come on the day that summer begins in Havana.
        (
            "0 0 * * *",
            "America/Havana",
            "2026-03-07",
            "2026-03-10",
            ["07 00:00-0500", "08 01:00-0400", "09 00:00-0400"],
        ),
        (
            "30 * * * *",
            "Europe/Paris",
            "2026-03-29T00:00",
            "2026-03-29T03:00",
            ["29 01:30+0100", "29 03:30+0200", "29 04:30+0200"],
        ),
        (
            "0 * * * *",
            "Europe/Paris",
            "2026-10-24T23:30",
            "2026-10-25T02:30",
            ["25 02:00+0200", "25 02:00+0100", "25 03:00+0100"],
        ),
        (
            "0 */2 * * *",
            "Europe/Paris",
            "2026-10-24T21:30",
            "2026-10-25T03:30",
            ["25 00:00+0200", "25 02:00+0200", "25 04:00+0100"],
        ),
    ],
)
def test_a_schedule_across_a_change_of_the_hour(
    cron: str, timezone: str, start: str, stop: str, shown: list[str]
) -> None:
    """A time that is skipped or comes twice has one tick; an hourly schedule has one for each hour that passes."""
    assert ticks(cron, timezone, start, stop) == shown


@pytest.mark.takes_long("follows the clocks of five zones for a year")
def test_a_year_has_one_tick_a_day() -> None:
    """Whatever the zone and its changes, a schedule of each day comes once on each day of a year."""
    for zone in ("Europe/Paris", "America/Havana", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu"):
        for minute in ("0 0", "30 0", "59 1", "15 2", "30 2", "0 3"):
            shown = ticks(f"{minute} * * *", zone, "2025-12-31T00:00", "2027-01-02T00:00")
            days = [text[:2] for text in shown]
            assert all(one != other for one, other in pairwise(days)), (zone, minute)
            assert len(days) in (366, 367, 368), (zone, minute)


class Clocks:
    """A clock on the wall that can be set, and a steady one; waiting moves both."""

    def __init__(self, set_after: float = 0, by: float = 0) -> None:
        self.now, self.steady, self.set_after, self.by = 1_000_000.0, 0.0, set_after, by

    def advance(self, seconds: float) -> None:
        before, self.steady = self.steady, self.steady + seconds
        self.now += seconds
        if before < self.set_after <= self.steady:
            self.now += self.by

    def wait(self, until: float, file: Path) -> tuple[str, float]:
        clocks = self

        class Event(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                clocks.advance(timeout or 0)
                return False

        moment = dt.datetime.fromtimestamp(until, dt.UTC)
        since = wait(Until(moment, file, stamp(file)), Event(), clock=lambda: self.now, steady=lambda: self.steady)
        return since, self.steady


@pytest.mark.parametrize(
    ("by", "since", "after"), [(0, "tick", 3600), (1800, "tick", 1800), (7200, "tick", 905), (-604800, "change", 905)]
)
def test_a_clock_that_is_set_while_waiting(tmp_path: Path, by: float, since: str, after: float) -> None:
    """Set forward, the tick comes when its moment shows; set back, the next moment is worked out again."""
    clocks = Clocks(set_after=901, by=by)
    told, waited = clocks.wait(clocks.now + 3600, tmp_path / "none")
    assert told == since
    assert waited == pytest.approx(after, abs=5)


def test_a_changed_file_ends_the_waiting(tmp_path: Path) -> None:
    """A workflows.yml that is changed, taken away or put there is looked at within seconds."""
    file = tmp_path / "workflows.yml"
    file.write_text("a")
    changes: list[Callable[[], Any]] = [lambda: file.write_text("ab"), file.unlink, file.touch]
    for change in changes:
        threading.Timer(0.2, change).start()
        moment = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)
        assert wait(Until(moment, file, stamp(file)), threading.Event(), step=0.05) == "change"


def test_being_stopped_ends_the_waiting(tmp_path: Path) -> None:
    """Whoever asks for a stop does not wait for the moment."""
    stopped = threading.Event()
    threading.Timer(0.2, stopped.set).start()
    moment = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)
    assert wait(Until(moment, tmp_path, stamp(tmp_path)), stopped) == "stop"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the clock of the run table by some seconds."""
    offset = dt.timedelta()

    class Moved(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
            return dt.datetime.now(tz) + offset

    class Module:
        datetime = Moved

        def __getattr__(self, name: str) -> Any:
            return getattr(dt, name)

    monkeypatch.setattr(run_table, "dt", Module())

    def move(seconds: float) -> None:
        nonlocal offset
        offset = dt.timedelta(seconds=seconds)

    return move


def test_a_clock_set_forward_takes_no_run_from_a_living_runner(tmp_path: Path, clock: Callable[[float], None]) -> None:
    """On one machine a run whose process lives is not taken up, however far its lease has come to lie in the past."""
    uri = f"sqlite:///{tmp_path / 'runs.db'}"
    here, there = RunTable(uri), RunTable(uri)
    run = here.claim("w", {"a": 1}, DAY)
    assert run is not None
    clock(86400)
    assert there.claim("w", {"a": 1}, DAY) is None
    assert here.succeed(run, ()) is not None


def test_a_clock_set_back_does_not_hold_a_retry_back(tmp_path: Path, clock: Callable[[float], None]) -> None:
    """A failure that was recorded in what is now the future is tried again at once, not after that time."""
    table = RunTable(f"sqlite:///{tmp_path / 'runs.db'}", limits=Limits(retry_delay=300))
    run = table.claim("w", {"a": 1}, DAY)
    assert run is not None
    table.fail(run, "no luck")
    assert table.claim("w", {"a": 1}, DAY) is None
    clock(-86400)
    assert table.next_change(table.latest()["w", run.parameters_hash]) < dt.datetime.now(dt.UTC)
    assert table.claim("w", {"a": 1}, DAY) is not None
