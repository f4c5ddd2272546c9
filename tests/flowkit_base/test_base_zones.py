"""Offsets and days of time zones."""

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowkit_base.zones import day_bounds, is_zone, offsets

ZONES = ("America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu", "UTC")
FIRST, STOP = 1_400_000_000, 1_600_000_000


@given(st.sampled_from(ZONES), st.integers(FIRST, STOP))
def test_the_offset_of_an_instant_is_the_last_one_that_began(zone, second):
    """The steps agree with zoneinfo at every second."""
    offset = [seconds for since, seconds in offsets(zone, FIRST, STOP) if since <= second][-1]
    assert dt.timedelta(seconds=offset) == dt.datetime.fromtimestamp(second, ZoneInfo(zone)).utcoffset()


@pytest.mark.parametrize("zone", ZONES)
def test_days_follow_each_other_without_gap(zone):
    """Each local day begins where the former ended, clock changes or not."""
    days = [dt.date(2018, 1, 1) + dt.timedelta(days=n) for n in range(366)]
    assert all(day_bounds(zone, one)[1] == day_bounds(zone, following)[0] for one, following in pairwise(days))


def test_a_day_of_half_an_hour_more():
    """Lord Howe's clocks go back by half an hour."""
    first, following = day_bounds("Australia/Lord_Howe", dt.date(2018, 4, 1))
    assert following - first == dt.timedelta(hours=24, minutes=30)


def test_what_is_no_zone():
    """A misspelt zone is no zone, whatever its letters."""
    assert is_zone("Asia/Kathmandu")
    assert not is_zone("Asia/Katmandoo")
    assert not is_zone("../../etc/passwd")
    assert not is_zone("")
