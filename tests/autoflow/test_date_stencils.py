"""Date stencils: which days a workflow needs around a reference date."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoflow.definition.stencil import DateStencil, Days, InvalidDateIntervalError


def day(number: int) -> dt.date:
    return dt.date(2016, 1, number)


MIXED = DateStencil([[day(1), day(3)], -3, [-2, 0]])


def test_the_worked_example_gives_its_three_ranges() -> None:
    """The stencil of the manual gives the manual's ranges, half-open and in its order."""
    assert MIXED.date_ranges(day(7)) == [(day(1), day(3)), (day(4), day(5)), (day(5), day(7))]


def test_the_worked_example_needs_its_five_days() -> None:
    """The end of a range is not needed; single offsets need their one day."""
    assert MIXED.days(day(7)) == {day(1), day(2), day(4), day(5), day(6)}


@pytest.mark.parametrize(
    ("elements", "error"),
    [
        ("2016-01-01", TypeError),
        (3, TypeError),
        (day(1), TypeError),
        (["2016-01-01"], TypeError),
        ([1.5], TypeError),
        ([True], TypeError),
        ([dt.datetime(2016, 1, 1, tzinfo=dt.UTC)], TypeError),
        ([[0, "1"]], TypeError),
        ([[0, 1, 2]], ValueError),
        ([[0]], ValueError),
        ([[0, 0]], InvalidDateIntervalError),
        ([[1, -1]], InvalidDateIntervalError),
        ([[day(2), day(2)]], InvalidDateIntervalError),
        ([[day(3), day(2)]], InvalidDateIntervalError),
    ],
)
def test_a_malformed_stencil_is_refused(elements: Any, error: type[Exception]) -> None:
    """What is not a date, an offset or a pair with a length is refused when the stencil is made."""
    with pytest.raises(error):
        DateStencil(elements)


def test_an_empty_interval_is_a_value_error_too() -> None:
    """Code that catches ValueError catches empty intervals."""
    assert issubclass(InvalidDateIntervalError, ValueError)


@pytest.mark.parametrize("elements", [[day(6)], [-1], [[-1, 0]], [[day(6), 0]]])
def test_four_ways_to_write_the_same_day_agree(elements: list[Any]) -> None:
    """A date, an offset, a pair of offsets and a mixed pair give the same range."""
    assert DateStencil(elements).date_ranges(day(7)) == [(day(6), day(7))]


def test_a_mixed_pair_may_be_empty_for_some_dates_only() -> None:
    """A pair of a date and an offset is merely unavailable for the reference dates for which it is empty."""
    stencil = DateStencil([[day(3), 0]])

    assert stencil.days(day(5)) == {day(3), day(4)}
    assert not stencil.is_available(day(3), [day(n) for n in range(1, 10)])
    with pytest.raises(InvalidDateIntervalError):
        stencil.date_ranges(day(3))


def test_only_the_fitting_reference_date_is_available() -> None:
    """Of all reference dates only that whose days are all there is available."""
    available = [day(n) for n in (1, 2, 4, 5, 6)]

    assert [n for n in range(1, 12) if MIXED.is_available(day(n), available)] == [7]


def test_missing_days_are_named_in_order() -> None:
    """What is waited for can be said."""
    assert MIXED.missing(day(7), [day(2), day(5)]) == [day(1), day(4), day(6)]


@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(1, 9))),
    st.sets(st.dates(dt.date(2016, 1, 1), dt.date(2016, 2, 1))),
)
def test_missing_days_are_those_of_the_stencil_that_are_not_there(
    pairs: list[tuple[int, int]], available: set[dt.date]
) -> None:
    """However many days there are, and in whatever collection, the missing ones are the difference."""
    stencil = DateStencil([[start, start + length] for start, length in pairs])
    expected = sorted(stencil.days(day(15)) - available)

    assert stencil.missing(day(15), available) == expected
    assert stencil.missing(day(15), Days(available)) == expected
    assert stencil.missing(day(15), iter([*available, *available])) == expected


def test_days_are_a_sequence_in_order() -> None:
    """Days that are there come in order, each once; what is no day is not among them."""
    days = Days([day(3), day(1), day(3)])

    assert list(days) == [day(1), day(3)]
    assert days[0] == day(1)
    assert days[1:] == [day(3)]
    assert day(3) in days
    assert day(2) not in days
    assert "2016-01-03" not in days


def test_the_empty_stencil_is_always_satisfied() -> None:
    """A stencil without elements needs no day and gives no range."""
    assert DateStencil([]).date_ranges(day(1)) == []
    assert DateStencil([]).is_available(day(1), [])


def test_equal_stencils_are_equal_and_foreign_objects_are_not() -> None:
    """Two spellings of one interval are equal, other stencils and other things are not."""
    assert DateStencil([-1]) == DateStencil([[-1, 0]])
    assert hash(DateStencil([-1])) == hash(DateStencil([[-1, 0]]))
    assert DateStencil([-1]) != DateStencil([-2])
    assert DateStencil([-1]) != [-1]


@pytest.mark.parametrize("reference", ["2016-01-01", 5, None, dt.datetime(2016, 1, 1, tzinfo=dt.UTC)])
def test_the_reference_date_must_be_a_date(reference: Any) -> None:
    """Text, numbers and moments are no reference dates."""
    with pytest.raises(TypeError):
        MIXED.date_ranges(reference)


@given(
    st.lists(st.tuples(st.integers(-40, 40), st.integers(1, 20))), st.dates(dt.date(2000, 1, 1), dt.date(2030, 1, 1))
)
def test_the_needed_days_are_those_of_the_ranges(pairs: list[tuple[int, int]], reference: dt.date) -> None:
    """A stencil is available exactly when each of its days is, counted one by one."""
    stencil = DateStencil([[start, start + length] for start, length in pairs])
    wanted = {reference + dt.timedelta(days=start + n) for start, length in pairs for n in range(length)}

    assert stencil.days(reference) == wanted
    assert stencil.is_available(reference, wanted)
    assert not any(stencil.is_available(reference, wanted - {one}) for one in wanted)
