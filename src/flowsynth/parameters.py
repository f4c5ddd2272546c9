"""The parameters of a synthetic delivery, and its summary."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from flowdb.tables import TRANSACTIONS, USUAL_TYPES
from flowkit_base.errors import UserError

EVENT_TYPES = USUAL_TYPES
MONEY = TRANSACTIONS.name
"""Mobile money, which is delivered only on request."""


class SynthesisError(UserError, ValueError):
    """A parameter or directory is invalid."""


@dataclass(frozen=True)
class Crisis:
    """A flood that strikes one admin2 unit and makes most of its residents leave.

    `unit` is the unit's code (None: a populous unit in another admin1 unit than the capital), `day` the day of
    the period that it strikes on, counted from 1; a day after the last one changes
    nothing. `leaving` is the share of households that leave, `returning` the share of those that come back,
    which they do from the fourth day after leaving on.
    """

    unit: str | None = None
    day: int = 8
    leaving: float = 0.75
    returning: float = 0.2


@dataclass(frozen=True)
class Parameters:
    """All parameters that a delivery's content depends on."""

    subscribers: int = 20_000
    days: int = 14
    start: date = date(2016, 1, 1)
    seed: int = 1
    events_per_day: float = 18.0
    sites: int = 300
    crisis: Crisis | None = Crisis()
    mobile_money: float = 0.0

    @property
    def event_types(self) -> tuple[str, ...]:
        """What is delivered each day."""
        return (*EVENT_TYPES, MONEY) if self.mobile_money else EVENT_TYPES

    def date(self, day: int) -> date:
        """Date of a day that is counted from 0."""
        return self.start + timedelta(days=day)


@dataclass(frozen=True)
class Summary:
    """The summary of a synthetic delivery.

    `events` gives the files of each event type in the order of their days, `rows` its event rows, `size` the
    bytes of all files. `crisis` is the code of the admin2 unit that was struck in the period, None if there was
    none, and `displaced` the number of subscribers who left it.
    """

    directory: Path
    start: date
    end: date
    subscribers: int
    units: Mapping[str, int]
    sites: int
    cells: int
    tacs: int
    rows: Mapping[str, int]
    size: int
    crisis: str | None
    displaced: int
    boundaries: Path
    sites_file: Path
    cells_file: Path
    tacs_file: Path
    events: Mapping[str, tuple[Path, ...]]
    truth: Path


# Bounds of the whole numbers: below 120 sites the towns and units cannot each have one; site to site tables
# grow with the square of the sites; the numbering plan has 8 digits.
BOUNDS: Mapping[str, tuple[int, int]] = {
    "subscribers": (20, 50_000_000),
    "days": (1, 3660),
    "seed": (0, 2**63 - 1),
    "sites": (120, 3000),
}


def check(parameters: Parameters) -> None:
    """Raise SynthesisError, with one sentence, if a parameter is invalid."""
    for name, (low, high) in BOUNDS.items():
        _whole(name, getattr(parameters, name), low, high)
    _real("events_per_day", parameters.events_per_day, 0.1, 1000)
    _real("mobile_money", parameters.mobile_money, 0, 1)
    # A datetime is a date to Python, but its files would carry a time of day.
    if type(parameters.start) is not date:
        raise SynthesisError(f"start must be a date such as 2016-01-01, not {parameters.start!r}.")
    try:
        parameters.date(parameters.days)
    except OverflowError:
        raise SynthesisError(
            f"start {parameters.start} and {parameters.days} days run past the end of the calendar; "
            "choose an earlier start."
        ) from None
    if parameters.crisis is None:
        return
    if not isinstance(parameters.crisis, Crisis):
        raise SynthesisError(f"crisis must be a Crisis or None, not {parameters.crisis!r}.")
    _whole("crisis.day", parameters.crisis.day, 1, 3660)
    _real("crisis.leaving", parameters.crisis.leaving, 0, 1)
    _real("crisis.returning", parameters.crisis.returning, 0, 1)


def _whole(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise SynthesisError(f"{name} must be a whole number from {low} to {high}, not {value!r}.")


def _real(name: str, value: object, low: float, high: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise SynthesisError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}.")
