"""Slowing of guesses: what is tried is counted before it is looked at, and the next look waits for its time.

A look is what guessing needs: one comparison of a password or a code with the right one. Nobody is locked out for good,
and who has signed in from a device before is counted there alone, so that strangers who guess at a name do not keep its
owner out (OWASP's device cookies).
"""

import base64
import datetime as dt
import hashlib
import hmac
import ipaddress
import json
import math
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from flowauth.errors import TooMany
from flowauth.settings import Settings
from flowauth.tables import Attempts, User

DEVICE_LIFE = dt.timedelta(days=365)
_MOST_PEOPLE_OF_A_DEVICE = 8
_FORGOTTEN = dt.timedelta(hours=12)
_SWEPT_ONE_IN = 50


@dataclass(frozen=True)
class Pace:
    """How fast something may be tried: so many looks at once, then one after a wait that doubles to the longest."""

    at_once: int
    first: float
    """Seconds of the first wait."""
    longest: float
    """Seconds of the longest wait."""

    def wait(self, count: int) -> dt.timedelta:
        """How long after the latest of so many attempts the next is looked at."""
        if count < self.at_once:
            return dt.timedelta()
        return dt.timedelta(seconds=min(self.first * 2.0 ** min(count - self.at_once, 32), self.longest))


# A name from one network, and from everywhere together: no more than ten looks in any hour, four once it goes on.
NAME_HERE = Pace(at_once=5, first=30, longest=3600)
NAME = Pace(at_once=6, first=900, longest=900)
# Many names from one network. Many people may share it, so it is slowed just enough to keep it from others' time.
NETWORK = Pace(at_once=50, first=10, longest=10)
# Those who hold the cookie of a device, the password, or a sign-in.
DEVICE = Pace(at_once=5, first=30, longest=900)
CODE = Pace(at_once=5, first=30, longest=3600)


@dataclass(frozen=True)
class Counter:
    """Something that is counted, and the pace at which it may be tried; `shared` with people who may be right."""

    what: tuple[str, ...]
    pace: Pace
    shared: bool = False

    @property
    def of(self) -> str:
        """The key of its row, which holds neither name nor address."""
        return hashlib.sha256(json.dumps(self.what).encode()).hexdigest()


def for_password(
    settings: Settings, username: str, user: User | None, address: str, device: str | None
) -> list[Counter]:
    """What a password that is given for a name is counted as; alike whether or not there is such a user."""
    known = device_of(settings, device, user)
    if known is not None and user is not None:
        return [Counter(("password on device", str(user.id), known), DEVICE)]
    name, network = username.casefold()[:200], network_of(address)
    return [
        Counter(("password", name, network), NAME_HERE),
        Counter(("password", name), NAME, shared=True),
        Counter(("network", network), NETWORK, shared=True),
    ]


def for_code(settings: Settings, user: User, device: str | None) -> list[Counter]:
    """What a second factor is counted as."""
    known = device_of(settings, device, user)
    if known is not None:
        return [Counter(("code on device", str(user.id), known), CODE)]
    return [Counter(("code", str(user.id)), CODE)]


def for_confirmation(user: User) -> list[Counter]:
    """What the password of somebody who is signed in is counted as."""
    return [Counter(("confirmation", str(user.id)), DEVICE)]


def take(session: Session, counters: Sequence[Counter], now: dt.datetime) -> bool:
    """Count an attempt and commit the count, or raise TooMany: the attempt is then not looked at, and not counted.

    The session must be one that writes, and have nothing in it that is not to be committed. True is given if this
    attempt is the one from which on others must wait.
    """
    if random.randrange(_SWEPT_ONE_IN) == 0:  # noqa: S311
        session.execute(sa.delete(Attempts).where(Attempts.latest < now - _FORGOTTEN))
    rows = {row.of: row for row in session.scalars(_rows(counters))}
    counts = {of: row.count for of, row in rows.items() if row.latest >= now - _FORGOTTEN}
    longest = dt.timedelta()
    for counter in counters:
        if counter.of in counts:
            wait = counter.pace.wait(counts[counter.of])
            # A clock that was set back must not make the wait longer than it is.
            longest = max(longest, min(rows[counter.of].latest + wait - now, wait))
    if longest > dt.timedelta():
        raise too_many(longest)
    for counter in counters:
        count = counts[counter.of] = counts.get(counter.of, 0) + 1
        row = rows.get(counter.of) or Attempts(of=counter.of)
        row.count, row.latest = count, now
        session.add(row)
    session.commit()
    return any(counts[counter.of] == counter.pace.at_once for counter in counters)


def forgive(session: Session, counters: Sequence[Counter]) -> None:
    """Take back the count of an attempt that was right; of what is not shared with others, all that were wrong."""
    rows = {row.of: row for row in session.scalars(_rows(counters))}
    for counter in counters:
        row = rows.get(counter.of)
        if row is not None and counter.shared and row.count > 1:
            row.count -= 1
        elif row is not None:
            session.delete(row)


def too_many(wait: dt.timedelta) -> TooMany:
    """The refusal that says how long to wait."""
    seconds = math.ceil(wait.total_seconds())
    minutes = math.ceil(seconds / 60)
    words = f"{seconds} second{'s' * (seconds > 1)}" if seconds <= 90 else f"{minutes} minutes"
    return TooMany(f"There were too many attempts. Wait {words}, then try again.", float(seconds))


def network_of(address: str) -> str:
    """What counts as one network: an address of IPv4, a /64 of IPv6."""
    parsed = read_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed or address)


def device_cookie(settings: Settings, user: User, device: str | None, now: dt.datetime | None = None) -> str:
    """What a device is given when a person has signed in on it; it says that they have, and opens nothing.

    A device that several people use keeps the latest of them.
    """
    known = _device(settings, device) or {"device": secrets.token_hex(16), "people": []}
    mark = mark_of(settings, user)
    people = [mark, *(other for other in known["people"] if other != mark)]
    until = (now or dt.datetime.now(dt.UTC)) + DEVICE_LIFE
    body = {"device": known["device"], "people": people[:_MOST_PEOPLE_OF_A_DEVICE], "until": int(until.timestamp())}
    body = base64.urlsafe_b64encode(json.dumps(body, separators=(",", ":")).encode()).decode()
    return f"{body}.{signature(settings, 'device', body)}"


def device_of(settings: Settings, device: str | None, user: User | None) -> str | None:
    """The number of a device on which this person has signed in before; None if they have not."""
    known = _device(settings, device)
    if known is None or user is None or mark_of(settings, user) not in known["people"]:
        return None
    return str(known["device"])


def signature(settings: Settings, purpose: str, text: str) -> str:
    """What proves that FlowAuth has said a text for a purpose (HMAC-SHA-256)."""
    key = hmac.digest(settings.secret_key.get_secret_value().encode(), f"flowauth {purpose}".encode(), "sha256")
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), "sha256").hexdigest()


def mark_of(settings: Settings, user: User) -> str:
    """What stands for a person where it can be read; a number alone may be given again when somebody is deleted."""
    return signature(settings, "person", f"{user.id} {user.username}")[:32]


def _rows(counters: Sequence[Counter]) -> sa.Select[tuple[Attempts]]:
    keys = [counter.of for counter in counters]
    return sa.select(Attempts).where(Attempts.of.in_(keys)).execution_options(populate_existing=True)


def _device(settings: Settings, device: str | None) -> dict[str, Any] | None:
    body, _, given = (device or "").rpartition(".")
    if not given.isascii() or not hmac.compare_digest(signature(settings, "device", body), given):
        return None
    content: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body))
    return content if content["until"] > dt.datetime.now(dt.UTC).timestamp() else None


def read_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address as it is written in a header: alone, with a port, or in brackets; IPv4 within IPv6 is IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, ipaddress.IPv6Address) else parsed
