"""The limits of servers and roles as options of commands."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from flowauth.errors import Refused

if TYPE_CHECKING:
    from flowauth.services.limits import Limits

Days = Annotated[float | None, typer.Option("--longest-life-days", help="Days that a token lives at the most.")]
Latest = Annotated[
    str | None, typer.Option("--latest-expiry", metavar="WHEN", help="Such as 2027-01-31T18:00Z, or 'none'.")
]


def changed(before: "Limits", longest_life_days: float | None, latest_expiry: str | None) -> "Limits":
    """The limits with what is given; the rest is as before."""
    from flowauth.services.limits import Limits

    return Limits(
        before.latest_token_expiry if latest_expiry is None else when(latest_expiry),
        before.longest_token_life_minutes if longest_life_days is None else minutes(longest_life_days),
    )


def when(text: str | None) -> dt.datetime | None:
    """A moment with its zone, or none."""
    if text in (None, "none"):
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        pass
    raise Refused(f"'{text}' is no moment with its time zone; write it as 2027-01-31T18:00Z.")


def minutes(days: float) -> int:
    """A number of days in minutes."""
    # Bounded, so that what is no number or beyond all numbers is refused as a life that is too long.
    return round(min(days * 24 * 60, 1e12)) if days == days else 0  # noqa: PLR0124 - NaN differs from itself


def life(minutes: int) -> str:
    """A number of minutes for people."""
    days, rest = divmod(minutes, 24 * 60)
    hours, left = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (left, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)
