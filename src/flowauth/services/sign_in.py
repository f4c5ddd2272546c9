"""Signing in: who is there, by a cookie that is changed whenever they become more than they were.

Functions that take `address` and look at a password or a code count the attempt first (`throttle`), which
commits: call them before anything else is changed in the session.
"""

import datetime as dt
import hashlib
import hmac
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from flowauth.errors import NotAllowed, NotSignedIn, Refused
from flowauth.services import audit, passwords, people, throttle, two_factor
from flowauth.services.keys import Vault
from flowauth.settings import Settings
from flowauth.tables import SignIn, User

SEEN_EVERY = dt.timedelta(minutes=1)
INCOMPLETE_LIFE = dt.timedelta(minutes=10)
"""How long after the password the second factor may be given."""
CONFIRMED_LIFE = dt.timedelta(minutes=10)
"""How long a confirmation holds: a provider's for somebody who has no password, and that of signing in itself."""
_WRONG = "The name or the password is not right."
_OVER = "Nobody is signed in, or the sign-in has ended; sign in again."


@dataclass
class Person:
    """Somebody who is signed in; `set_up_needed`: they must set up two-factor before anything else.

    `sign_in` is another one after `rotate`.
    """

    user: User
    sign_in: SignIn
    set_up_needed: bool

    @property
    def choice_needed(self) -> bool:
        """Whether they signed in with a password that FlowAuth made, and must choose one before anything else."""
        return self.sign_in.first_password

    @property
    def must_act_first(self) -> bool:
        """Whether there is something that they must do before anything else."""
        return self.choice_needed or self.set_up_needed


def begin(
    session: Session,
    settings: Settings,
    username: str,
    password: str,
    address: str,
    *,
    device: str | None = None,
    now: dt.datetime | None = None,
) -> tuple[str, SignIn]:
    """Sign in by name and password: the cookie's value, and a sign-in that is complete unless a code is needed.

    `device` is the cookie that `throttle.device_cookie` gave, if the browser has one. Raises NotSignedIn, with the same
    words and after the same time whether it is the name or the password, or TooMany.
    """
    now = now or dt.datetime.now(dt.UTC)
    # PostgreSQL takes no NUL in a text; no name has what cannot be printed.
    user = people.named(session, username) if username.isprintable() else None
    stored = user.password if user else None
    counters = throttle.for_password(settings, username, user, address, device)
    slowed = throttle.take(session, counters, now)
    right = passwords.fits(password, stored)
    if slowed and not right:
        # Of a name that is not there as well, which takes as long; what was typed for it may be a password.
        whose = user.username if user is not None else "somebody unknown"
        audit.record(session, audit.SYSTEM, "sign_in.slowed", whose, after={"from": address})
        session.commit()
    # While the password was looked at, others could write.
    present = session.get(User, user.id, populate_existing=True) if right and user is not None else None
    if (
        present is None
        or stored is None
        or (present.password != stored and not passwords.fits(password, present.password))
    ):
        raise NotSignedIn(_WRONG, "password")
    if present.password_expires is not None and present.password_expires <= now:
        raise NotSignedIn(
            "This password was made for a first sign-in within 7 days, which are over; ask an administrator for a new "
            "one.",
            "password",
        )
    throttle.forgive(session, counters)
    if passwords.outdated(stored):
        present.password = passwords.hash_of(password)
    first = present.password_expires is not None
    return open_sign_in(session, settings, present, address, by="password", first_password=first, now=now)


def open_sign_in(
    session: Session,
    settings: Settings,
    user: User,
    address: str,
    *,
    by: str,
    provider_mfa: bool = False,
    first_password: bool = False,
    now: dt.datetime | None = None,
) -> tuple[str, SignIn]:
    """Sign in somebody whose first factor was right; sign-ins that have ended are swept away."""
    now = now or dt.datetime.now(dt.UTC)
    session.execute(sa.delete(SignIn).where(sa.not_(_lives(settings, now))))
    sign_in = SignIn(
        user=user,
        began=now,
        seen=now,
        complete=provider_mfa or not people.has_two_factor(user),
        confirmed=now,
        provider_mfa=provider_mfa,
        first_password=first_password,
    )
    cookie = _give(session, sign_in)
    if sign_in.complete:
        audit.record(session, user.username, "sign_in", user.username, after={"by": by, "from": address})
    return cookie, sign_in


def give_code(  # noqa: PLR0917
    session: Session,
    vault: Vault,
    settings: Settings,
    sign_in: SignIn,
    code: str,
    address: str,
    *,
    device: str | None = None,
    now: dt.datetime | None = None,
) -> tuple[str, SignIn]:
    """Complete a sign-in by a code of the authenticator app or a backup code; the cookie gets another value."""
    now = now or dt.datetime.now(dt.UTC)
    waiting = sa.select(SignIn).where(SignIn.id == sign_in.id, SignIn.complete.is_(False), _lives(settings, now))
    waiting_sign_in = session.scalar(waiting.execution_options(populate_existing=True))
    if waiting_sign_in is None:
        raise NotSignedIn(_OVER)
    user, old, first = waiting_sign_in.user, waiting_sign_in.id, waiting_sign_in.first_password
    began, confirmed = waiting_sign_in.began, waiting_sign_in.confirmed
    try:
        two_factor.verify(session, vault, settings, user, code, device=device, now=now)
    except two_factor.WrongCode as error:
        raise NotSignedIn(error.message, error.field) from error
    session.expunge(waiting_sign_in)
    # What is gone was ended, or completed by another request, while the code was looked at.
    if not _changed(session, sa.delete(SignIn).where(SignIn.id == old)):
        raise NotSignedIn(_OVER)
    whole = SignIn(
        user_id=user.id, user=user, began=began, seen=now, complete=True, confirmed=confirmed, first_password=first
    )
    cookie = _give(session, whole)
    audit.record(session, user.username, "sign_in", user.username, after={"by": "two factors", "from": address})
    return cookie, whole


def who(
    session: Session, settings: Settings, cookie: str | None, complete: bool = True, *, now: dt.datetime | None = None
) -> Person:
    """Who the cookie is of; with `complete` False, also somebody whose code is still needed.

    Raises NotSignedIn, and ends the sign-in, when nobody has used it for FLOWAUTH_SESSION_MINUTES or it began
    FLOWAUTH_SESSION_HOURS ago. When it was used is written at most once a minute, in a transaction of its own if the
    session is one that reads, which then is over: use it for nothing else.
    """
    now = now or dt.datetime.now(dt.UTC)
    select = sa.select(SignIn).where(SignIn.id == _number(cookie or ""))
    sign_in = session.scalar(select.options(joinedload(SignIn.user).joinedload(User.two_factor)))
    if sign_in is None:
        raise NotSignedIn(_OVER)
    if not _is_live(settings, sign_in, now):
        with _writing(session) as writing:
            writing.execute(sa.delete(SignIn).where(SignIn.id == sign_in.id))
            writing.commit()
        raise NotSignedIn(_OVER)
    if complete and not sign_in.complete:
        raise NotSignedIn("The code of your authenticator app is still needed.")
    user = sign_in.user
    secured = people.has_two_factor(user) or sign_in.provider_mfa
    needed = not secured and people.needs_two_factor(user, settings.flowauth_require_two_factor)
    if now - sign_in.seen >= SEEN_EVERY:
        with _writing(session) as writing:
            writing.execute(sa.update(SignIn).where(SignIn.id == sign_in.id).values(seen=now))
    return Person(user, sign_in, needed)


def confirm(
    session: Session,
    settings: Settings,
    person: Person,
    password: str,
    address: str,
    *,
    now: dt.datetime | None = None,
) -> str | None:
    """Ask for the password again, before what a stolen session must not do; Refused if it is not right.

    Gives the cookie's new value. Somebody who has no password confirms at the provider instead (`provider.confirm`),
    which holds for ten minutes: then there is none.
    """
    now = now or dt.datetime.now(dt.UTC)
    user = session.get_one(User, person.user.id, populate_existing=True)
    stored = user.password
    if stored is None:
        present = session.get(SignIn, person.sign_in.id, populate_existing=True)
        if present is None or present.confirmed is None or now - present.confirmed > CONFIRMED_LIFE:
            raise Refused(f"Confirm that it is you by signing in with {settings.flowauth_oidc_name} again.", "password")
        return None
    counters = throttle.for_confirmation(user)
    if throttle.take(session, counters, now):
        audit.record(session, audit.SYSTEM, "confirmation.slowed", user.username, after={"from": address})
        session.commit()
    if not passwords.fits(password, stored):
        raise Refused("The password is not right.", "password")
    if user.password_expires is not None and user.password_expires <= now:
        raise Refused("Your first password counts no more; ask an administrator for a new one.", "password")
    throttle.forgive(session, counters)
    cookie = rotate(session, person)
    person.sign_in.confirmed = now
    return cookie


def is_fresh(person: Person, *, now: dt.datetime | None = None) -> bool:
    """Whether somebody has shown who they are within the last ten minutes, by signing in or by the password again."""
    confirmed = person.sign_in.confirmed
    return confirmed is not None and (now or dt.datetime.now(dt.UTC)) - confirmed <= CONFIRMED_LIFE


def rotate(session: Session, person: Person) -> str:
    """Give the cookie of a sign-in another value, when somebody proves again who they are, or changes how."""
    old = session.get(SignIn, person.sign_in.id)
    if old is None:
        raise NotSignedIn(_OVER)
    kept = {column.key: getattr(old, column.key) for column in SignIn.__table__.columns if column.key != "id"}
    session.delete(old)
    session.flush()
    person.sign_in = SignIn(**kept)
    return _give(session, person.sign_in)


def change_password(session: Session, person: Person, password: str) -> str:
    """Take the password that somebody chose, and sign them out everywhere else; give the cookie's new value.

    Call `confirm` with the present password first.
    """
    user = people.find(session, person.user.id)
    if user.password_expires is not None and passwords.fits(password, user.password):
        raise Refused("Choose another password than the one that you were given.", "password")
    people.set_password(session, user.username, user, password)
    cookie = rotate(session, person)
    person.sign_in.first_password = False
    people.sign_out_everywhere(session, user, but=person.sign_in.id)
    return cookie


def end(session: Session, cookie: str | None) -> None:
    """Sign out."""
    session.execute(sa.delete(SignIn).where(SignIn.id == _number(cookie or "")))


def living(session: Session, settings: Settings, user: User, *, now: dt.datetime | None = None) -> Sequence[SignIn]:
    """Where a person is signed in at present, the latest first."""
    lives = _lives(settings, now or dt.datetime.now(dt.UTC))
    select = sa.select(SignIn).where(SignIn.user_id == user.id, SignIn.complete, lives)
    return session.scalars(select.order_by(SignIn.seen.desc())).all()


def csrf_token(settings: Settings, cookie: str) -> str:
    """What every form of a sign-in carries, so that no other page can send it."""
    return throttle.signature(settings, "form", cookie)


def check_csrf(settings: Settings, cookie: str, given: str | None) -> None:
    """Refuse a form that does not carry the token of this sign-in."""
    if not given or not given.isascii() or not hmac.compare_digest(csrf_token(settings, cookie), given):
        raise NotAllowed("This form was not sent from FlowAuth, or from a sign-in that has ended. Load the page again.")


def _give(session: Session, sign_in: SignIn) -> str:
    cookie = secrets.token_urlsafe(32)
    sign_in.id = _number(cookie)
    session.add(sign_in)
    session.flush()
    return cookie


def _number(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).hexdigest()


def _lives(settings: Settings, now: dt.datetime) -> sa.ColumnElement[bool]:
    return sa.and_(
        SignIn.seen > now - dt.timedelta(minutes=settings.flowauth_session_minutes),
        SignIn.began > now - dt.timedelta(hours=settings.flowauth_session_hours),
        sa.or_(SignIn.complete, SignIn.began > now - INCOMPLETE_LIFE),
    )


def _is_live(settings: Settings, sign_in: SignIn, now: dt.datetime) -> bool:
    return (
        sign_in.seen > now - dt.timedelta(minutes=settings.flowauth_session_minutes)
        and sign_in.began > now - dt.timedelta(hours=settings.flowauth_session_hours)
        and (sign_in.complete or sign_in.began > now - INCOMPLETE_LIFE)
    )


def _changed(session: Session, statement: Any) -> bool:
    """Whether a statement has changed anything."""
    result: Any = session.execute(statement)
    return result.rowcount > 0


@contextmanager
def _writing(session: Session) -> Iterator[Session]:
    """The session itself if it writes; if it reads, another one, in a short transaction."""
    write = session.info.get("write")
    if write is None:
        yield session
        return
    # Its connection is returned first: if readers hold every connection, nobody can write.
    session.expunge_all()
    session.rollback()
    with write() as writing:
        yield writing
