"""How long tokens may live: a latest day, and a longest life, of servers and roles; the narrowest holds."""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from flowauth.errors import Refused

if TYPE_CHECKING:
    from flowauth.tables import Role, Server

LONGEST_LIFE_MINUTES = 10 * 366 * 24 * 60


@dataclass(frozen=True)
class Limits:
    """The limits of a server or a role; without a latest expiry, the life alone counts."""

    latest_token_expiry: dt.datetime | None
    longest_token_life_minutes: int

    def __post_init__(self) -> None:
        minutes = self.longest_token_life_minutes
        if isinstance(minutes, bool) or not 1 <= minutes <= LONGEST_LIFE_MINUTES:
            raise Refused(
                f"The longest life of a token is between 1 minute and ten years ({LONGEST_LIFE_MINUTES:,} minutes).",
                "longest_token_life_minutes",
            )
        if self.latest_token_expiry is not None and self.latest_token_expiry.tzinfo is None:
            raise Refused(
                "The latest expiry needs a time zone; write it as 2027-01-31T00:00:00Z.", "latest_token_expiry"
            )

    @classmethod
    def of(cls, owner: "Server | Role") -> Self:
        """The limits of a server or a role."""
        return cls(owner.latest_token_expiry, owner.longest_token_life_minutes)

    def hold(self, role: str, latest: dt.datetime | None, minutes: int) -> None:
        """Refuse a role that exceeds these limits, which are its server's."""
        if latest is not None and self.latest_token_expiry is not None and latest > self.latest_token_expiry:
            raise Refused(
                f"The role '{role}' may not give tokens beyond the latest expiry of its server, "
                f"{self.latest_token_expiry:%Y-%m-%d %H:%M} UTC.",
                "latest_token_expiry",
            )
        if minutes > self.longest_token_life_minutes:
            raise Refused(
                f"The role '{role}' may not give tokens a longer life than its server does, "
                f"{self.longest_token_life_minutes} minutes.",
                "longest_token_life_minutes",
            )


def longest_life(issued: dt.datetime, *limits: Limits) -> dt.datetime:
    """The moment at which a token that is issued at one must end by all of the limits."""
    ends = [issued + dt.timedelta(minutes=limit.longest_token_life_minutes) for limit in limits]
    return min(ends + [limit.latest_token_expiry for limit in limits if limit.latest_token_expiry is not None])
