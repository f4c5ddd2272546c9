"""Instants, local days and local minutes, with daylight saving."""

import datetime as dt
import random
from zoneinfo import ZoneInfo

import pytest


@pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", "Asia/Kathmandu", "Africa/Casablanca", "UTC"])
def test_naive_times_are_of_the_source_and_days_of_the_lake(deployment_in, zone):
    """Each local time becomes the instant that zoneinfo says, and each instant the lake's day and minute."""
    deployment = deployment_in("America/Sao_Paulo")
    draw = random.Random(zone)
    # Around the changes of clocks in all these zones, the lake's included, and some others.
    days = ["2016-03-13", "2016-03-27", "2016-07-10", "2016-10-16", "2016-10-30", "2016-11-06", "1991-05-05"]
    times = [
        dt.datetime.fromisoformat(day) + dt.timedelta(seconds=draw.randrange(86400)) for day in days for _ in range(20)
    ]
    times += [dt.datetime.fromisoformat(day) + dt.timedelta(minutes=10 * m) for day in days for m in range(24)]
    lines = [f"i{n},,{t},1,p{n},,C1," for n, t in enumerate(times)]
    deployment.load(deployment.calls(*lines), timezone_of_source=zone)
    expected = []
    for t in times:
        # fold=0 is the first of two; a time that never was is moved forward by going through UTC.
        instant = t.replace(tzinfo=ZoneInfo(zone)).astimezone(dt.UTC)
        local = instant.astimezone(ZoneInfo("America/Sao_Paulo"))
        expected.append((instant.replace(tzinfo=None), local.hour * 60 + local.minute, local.date()))
    found = deployment.rows("datetime AT TIME ZONE 'UTC', minute, day")
    assert sorted(found) == sorted(expected)


def test_twice_told_and_skipped_times(deployment_in):
    """Of a time that comes twice the first is taken; one that never comes is as much later as the clocks jump."""
    deployment = deployment_in("Europe/London")
    deployment.load(
        deployment.calls("a,,2016-03-27 01:30:00,1,p,,,", "b,,2016-10-30 01:30:00,1,p,,,"),
    )
    assert deployment.rows("(datetime AT TIME ZONE 'UTC')::VARCHAR, minute") == [
        ("2016-03-27 01:30:00", 150),
        ("2016-10-30 00:30:00", 90),
    ]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2016-01-01 10:00:00", "2016-01-01 04:15:00"),
        ("2016-01-01T10:00:00", "2016-01-01 04:15:00"),
        ("2016/01/01 10:00", "2016-01-01 04:15:00"),
        ("20160101100000", "2016-01-01 04:15:00"),
        ("2016-01-01 10:00:00.123456", "2016-01-01 04:15:00.123456"),
        ("2016-01-01 10:00:00Z", "2016-01-01 10:00:00"),
        ("2016-01-01T10:00:00+02:00", "2016-01-01 08:00:00"),
        ("2016-01-01 10:00:00.5 -0330", "2016-01-01 13:30:00.5"),
        ("2016-01-01 10:00+02", "2016-01-01 08:00:00"),
        ("2016-01-01 24:00:00", "2016-01-01 18:15:00"),
    ],
)
def test_offsets_in_the_text_win(deployment_in, text, instant):
    """A time that says its offset is that instant; one that does not is of the source's zone."""
    deployment = deployment_in("Asia/Kathmandu")
    deployment.load(deployment.calls(f"a,,{text},1,p,,,"))
    assert deployment.rows("(datetime AT TIME ZONE 'UTC')::VARCHAR") == [(instant,)]


def test_midnight_belongs_to_the_day_that_begins(deployment_in):
    """Local midnight is the first minute of its day."""
    deployment = deployment_in("Asia/Kathmandu")
    reports = deployment.load(deployment.calls("a,,2016-01-01 23:59:59.999999,1,p,,,", "b,,2016-01-02 00:00:00,1,p,,,"))
    assert [r.day for r in reports] == [dt.date(2016, 1, 1), dt.date(2016, 1, 2)]
    assert deployment.rows("minute") == [(1439,), (0,)]
