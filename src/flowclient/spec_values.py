"""From what is easy to write in Python to what a query spec holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, TypeAlias

QuerySpec: TypeAlias = dict[str, Any]
Date: TypeAlias = date | str
Hours: TypeAlias = tuple[int, int] | Sequence[int] | Mapping[str, int]
Bins: TypeAlias = int | Sequence[float] | Mapping[str, Any]
Bounds: TypeAlias = tuple[float, float] | Sequence[float] | Mapping[str, float]
DayScores: TypeAlias = Mapping[str, float]
Polygons: TypeAlias = Mapping[str, Mapping[str, Any]]


def day(value: Date | None) -> str | None:
    """Return a date as ISO text; text is left as it is."""
    return value.isoformat() if isinstance(value, date) else value


def hour_range(hours: Hours | None) -> dict[str, int] | None:
    """Return a pair of hours as `{"start_hour": …, "end_hour": …}`."""
    return _named("hours", hours, "start_hour", "end_hour")


def histogram_bins(bins: Bins) -> dict[str, Any]:
    """Return a number of bins as `{"n_bins": …}`, and a list of bin edges as `{"bin_list": […]}`."""
    if isinstance(bins, Mapping):
        return dict(bins)
    return {"n_bins": bins} if isinstance(bins, int) else {"bin_list": list(bins)}


def bounds(range: Bounds | None) -> dict[str, float] | None:  # noqa: A002  # the parameter's public name
    """Return a pair of numbers as `{"lower_bound": …, "upper_bound": …}`."""
    return _named("range", range, "lower_bound", "upper_bound")


def interval_name(interval: str) -> str:
    """Return the server's name of an interval, which calls a minute `min`."""
    return "min" if interval == "minute" else interval


def given(**parameters: Any) -> dict[str, Any]:
    """Return the parameters that are not None: those that a spec leaves out otherwise."""
    return {name: value for name, value in parameters.items() if value is not None}


def random_sample_spec(
    *,
    query: QuerySpec,
    seed: float,
    sampling_method: str = "random_ids",
    size: int | None = None,
    fraction: float | None = None,
    estimate_count: bool = True,
) -> QuerySpec:
    """Return a spec that asks what another asks, of a random sample of its subscribers alone.

    Raises `ValueError` unless either `size` or `fraction` is given.

    Parameters
    ----------
    query : dict
        The spec of a query about single subscribers. It is copied, not changed.
    seed : float
        Equal seeds draw equal samples. From -1 to 1 where sampling_method is random_ids.
    sampling_method : str, default 'random_ids'
        random_ids keeps exactly as many subscribers as asked for; with a fraction, system and bernoulli keep each
        subscriber with that probability. One of: system, bernoulli, random_ids.
    size : int, optional
        How many subscribers to keep.
    fraction : float, optional
        Which share of the subscribers to keep, between 0 and 1.
    estimate_count : bool, default True
        Whether a server may estimate how many subscribers there are, instead of counting them.

    Returns
    -------
    dict
        A query spec.
    """
    if (size is None) == (fraction is None):
        raise ValueError("Give either size, how many subscribers to keep, or fraction, which share of them.")
    sampling = {
        "seed": seed,
        "sampling_method": sampling_method,
        "size": size,
        "fraction": fraction,
        "estimate_count": estimate_count,
    }
    return {**query, "sampling": sampling}


def days(start_date: Date, end_date: Date) -> Iterator[str]:
    """Return each day from `start_date` up to, not including, `end_date`, as ISO dates.

    Raises `ValueError` for text that is no date, and for a range that holds no day.
    """
    start, end = _moment("start_date", start_date), _moment("end_date", end_date)
    if start >= end:
        raise ValueError(
            f"No day lies between start_date {day(start_date)} and end_date {day(end_date)}: "
            "end_date is the day after the last one, so it must be later than start_date."
        )
    # A day counts when its own start, at start_date's hour, lies before the end.
    number = -((start - end) // timedelta(days=1))
    return ((start + timedelta(days=i)).date().isoformat() for i in range(number))


def _moment(name: str, value: Date) -> datetime:
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else value.isoformat())
    except ValueError:
        raise ValueError(f"{name}: {value!r} is not a date; write it like 2016-01-31.") from None
    return moment.replace(tzinfo=None)


def _named(
    parameter: str, pair: Sequence[Any] | Mapping[str, Any] | None, first: str, second: str
) -> dict[str, Any] | None:
    if pair is None:
        return None
    if isinstance(pair, Mapping):
        return dict(pair)
    if isinstance(pair, str) or len(pair) != 2:
        raise ValueError(f"{parameter}: {pair!r} is not a pair; give two values, ({first}, {second}).")
    return {first: pair[0], second: pair[1]}
