"""The second factor: codes of an authenticator app (RFC 6238), and backup codes that stand in for them once each."""

import datetime as dt
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from argon2.exceptions import InvalidHashError
from pyotp import random_base32
from pyotp.totp import TOTP
from sqlalchemy.orm import Session

from flowauth.errors import NotAllowed, Refused
from flowauth.services import audit, passwords, people, throttle
from flowauth.services.keys import Vault
from flowauth.settings import Settings
from flowauth.tables import BackupCode, TwoFactor, User

STEP = 30
"""Seconds for which a code of the app stands."""
BACKUP_CODES = 16
PROPOSAL_LIFE = dt.timedelta(hours=24)
_BACKUP_LENGTH = 10
# Neither 0 and o nor 1, i and l: the codes are copied by hand.
_BACKUP_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_APP_CODE = re.compile(r"[0-9]{6}")
_PURPOSE = "two-factor proposal"
_CODES = "backup codes proposal"


class WrongCode(Refused):
    """A code that is not right, or was right once."""


@dataclass(frozen=True)
class Proposal:
    """A second factor that nobody has yet: it is stored when a code proves that the app has its secret."""

    secret: str
    provisioning_url: str
    backup_codes: tuple[str, ...]
    signed: str
    """All of it, encrypted, for this person and 24 hours."""
    replaces: str | None = None
    """The second factor whose place it takes, of which a code was given for that; None if it is the first."""

    def __repr__(self) -> str:
        return "Proposal(…)"


def propose(
    vault: Vault, settings: Settings, user: User, *, replaces: str | None = None, now: dt.datetime | None = None
) -> Proposal:
    """Make a secret and backup codes for a person, and store nothing."""
    secret = random_base32()
    codes = tuple(_backup_code() for _ in range(BACKUP_CODES))
    until = (now or dt.datetime.now(dt.UTC)) + PROPOSAL_LIFE
    content = {
        "is": _PURPOSE,
        "for": throttle.mark_of(settings, user),
        "until": until.timestamp(),
        "secret": secret,
        "codes": codes,
        "replaces": replaces,
    }
    url = TOTP(secret, name=user.username, issuer=settings.flowauth_two_factor_issuer).provisioning_uri()
    return Proposal(secret, url, codes, vault.sealed(json.dumps(content)), replaces)


def propose_replacement(
    session: Session, vault: Vault, settings: Settings, user: User, present: str, *, now: dt.datetime | None = None
) -> Proposal:
    """Make a second factor to take the place of the one that a person has, for a code or a backup code of that one.

    The present one counts until `enable` stores the new one.
    """
    verify(session, vault, settings, user, present, now=now)
    user = _fresh(session, user)
    if user.two_factor is None:
        raise Refused("Two-factor is not set up.", "code")
    return propose(vault, settings, user, replaces=_mark(user.two_factor), now=now)


def proposed(vault: Vault, settings: Settings, user: User, signed: str, *, now: dt.datetime | None = None) -> Proposal:
    """Read a proposal that a page has carried; Refused if it is another's, too old, or was not made here."""
    content = _read(vault, signed)
    if content.get("is") != _PURPOSE or content.get("for") != throttle.mark_of(settings, user):
        raise Refused("This set-up of two-factor is not yours, or was changed; start it again.", "signed")
    if content["until"] <= (now or dt.datetime.now(dt.UTC)).timestamp():
        raise Refused("This set-up of two-factor is older than 24 hours; start it again.", "signed")
    totp = TOTP(content["secret"], name=user.username, issuer=settings.flowauth_two_factor_issuer)
    return Proposal(
        content["secret"], totp.provisioning_uri(), tuple(content["codes"]), signed, content.get("replaces")
    )


def enable(  # noqa: PLR0917
    session: Session,
    vault: Vault,
    settings: Settings,
    user: User,
    signed: str,
    code: str,
    *,
    present: str | None = None,
    now: dt.datetime | None = None,
) -> None:
    """Store a proposed second factor, once a code proves that the app has its secret.

    Somebody who has a second factor replaces it, and gives a code of it, or one of its backup codes, as `present`,
    unless they gave it when the new one was proposed.
    """
    now = now or dt.datetime.now(dt.UTC)
    proposal = proposed(vault, settings, user, signed, now=now)
    step = _step_of(proposal.secret, code, settings.two_factor_valid_window, now)
    if step is None:
        raise WrongCode(_wrong(settings), "code")
    user = _fresh(session, user)
    if proposal.replaces is not None:
        if user.two_factor is None or _mark(user.two_factor) != proposal.replaces:
            raise Refused("Your two-factor was changed meanwhile; start again.", "signed")
    elif people.has_two_factor(user):
        if present is None:
            raise Refused("You have two-factor already; to replace it, give a code of the present one too.", "present")
        verify(session, vault, settings, user, present, now=now)
        user = _fresh(session, user)
    hashes = _stored(proposal.backup_codes)
    replaced = user.two_factor is not None
    if user.two_factor is not None:
        session.delete(user.two_factor)
        user.two_factor = None
        session.flush()
    user.two_factor = TwoFactor(
        enabled=True, secret=vault.sealed(proposal.secret), last_step=step, backups=hashes, backups_created=now
    )
    session.flush()
    audit.record(session, user.username, "two_factor.enable", user.username, after={"replaced": replaced})


def disable(
    session: Session,
    vault: Vault,
    settings: Settings,
    user: User,
    code_or_backup: str,
    *,
    now: dt.datetime | None = None,
) -> None:
    """Remove a person's second factor, for a code of it; refused if one is required of them."""
    user = _fresh(session, user)
    if people.needs_two_factor(user, settings.flowauth_require_two_factor):
        raise NotAllowed("Two-factor is required of you, so it can be replaced but not switched off.")
    verify(session, vault, settings, user, code_or_backup, now=now)
    user = _fresh(session, user)
    if user.two_factor is not None:
        session.delete(user.two_factor)
        user.two_factor = None
    audit.record(session, user.username, "two_factor.disable", user.username, after={})


def new_backup_codes(session: Session, actor: str, user: User) -> list[str]:
    """Make new backup codes, which are shown once; the old ones no longer count."""
    user = _fresh(session, user)
    if user.two_factor is None or not user.two_factor.enabled:
        raise Refused("There are backup codes only for two-factor; set it up first.")
    codes = [_backup_code() for _ in range(BACKUP_CODES)]
    user.two_factor.backups, user.two_factor.backups_created = _stored(codes), dt.datetime.now(dt.UTC)
    session.flush()
    audit.record(session, actor, "two_factor.backup_codes", user.username, after={"codes": len(codes)})
    return codes


def propose_backup_codes(
    vault: Vault, settings: Settings, user: User, *, now: dt.datetime | None = None
) -> tuple[tuple[str, ...], str]:
    """Make new backup codes and store nothing; the second of the pair is all of it, encrypted, for 24 hours."""
    codes = tuple(_backup_code() for _ in range(BACKUP_CODES))
    proposed_at = (now or dt.datetime.now(dt.UTC)).timestamp()
    content = {"is": _CODES, "for": throttle.mark_of(settings, user), "made": proposed_at, "codes": codes}
    return codes, vault.sealed(json.dumps(content))


def take_backup_codes(
    session: Session, vault: Vault, settings: Settings, user: User, signed: str, *, now: dt.datetime | None = None
) -> None:
    """Store backup codes that were proposed; the old ones count no more."""
    content = _read(vault, signed)
    if content.get("is") != _CODES or content.get("for") != throttle.mark_of(settings, user):
        raise Refused("These backup codes are not yours, or were changed; ask for new ones.", "signed")
    now = now or dt.datetime.now(dt.UTC)
    proposed_at = dt.datetime.fromtimestamp(content["made"], dt.UTC)
    if proposed_at + PROPOSAL_LIFE <= now:
        raise Refused("These backup codes were made more than 24 hours ago; ask for new ones.", "signed")
    user = _fresh(session, user)
    if user.two_factor is None or not user.two_factor.enabled:
        raise Refused("There are backup codes only for two-factor; set it up first.")
    # What was proposed before the codes in force would bring codes back that were used.
    if proposed_at <= user.two_factor.backups_created:
        raise Refused("These backup codes were taken already, or later ones were; ask for new ones.", "signed")
    user.two_factor.backups, user.two_factor.backups_created = _stored(content["codes"]), now
    session.flush()
    audit.record(
        session, user.username, "two_factor.backup_codes", user.username, after={"codes": len(content["codes"])}
    )


def verify(
    session: Session,
    vault: Vault,
    settings: Settings,
    user: User,
    code: str,
    *,
    device: str | None = None,
    now: dt.datetime | None = None,
) -> None:
    """Look at a code: of the app, each 30 seconds' once, or a backup code, once; raises WrongCode or TooMany.

    The attempt is counted first, which commits; `device` is as in `sign_in.begin`.
    """
    now = now or dt.datetime.now(dt.UTC)
    user = _fresh(session, user)
    factor = user.two_factor
    if factor is None or not factor.enabled:
        raise Refused("Two-factor is not set up.", "code")
    username, user_id, sealed, last_step = user.username, user.id, factor.secret, factor.last_step
    backups = [(backup.id, backup.code) for backup in factor.backups]
    counters = throttle.for_code(settings, user, device)
    if throttle.take(session, counters, now):
        audit.record(session, audit.SYSTEM, "two_factor.slowed", username, after={})
        session.commit()
    given = re.sub(r"[\s-]", "", code)
    used: sa.Executable
    if _APP_CODE.fullmatch(given):
        step = _step_of(vault.opened(sealed), given, settings.two_factor_valid_window, now)
        if step is None:
            raise WrongCode(_wrong(settings), "code")
        if step <= last_step:
            raise WrongCode("This code was used already; wait for the next one.", "code")
        # The condition decides between two requests, or two processes, that give one code at the same moment.
        mine = (TwoFactor.user_id == user_id, TwoFactor.secret == sealed, TwoFactor.last_step < step)
        used = sa.update(TwoFactor).where(*mine).values(last_step=step)
    else:
        number = _backup_of(backups, given) if len(given) == _BACKUP_LENGTH and given.isascii() else None
        if number is None:
            raise WrongCode(_wrong(settings), "code")
        # SQLite gives the number of a code that is gone to one that is made after it.
        used = sa.delete(BackupCode).where(BackupCode.id == number, BackupCode.code == dict(backups)[number])
    result: Any = session.execute(used)
    if result.rowcount != 1:
        raise WrongCode("This code was used already; take another one.", "code")
    throttle.forgive(session, counters)
    if not _APP_CODE.fullmatch(given):
        left = {"left": len(backups) - 1}
        audit.record(session, username, "two_factor.backup_used", username, after=left)


def _mark(factor: TwoFactor) -> str:
    """What differs between any two second factors, and reveals nothing of them."""
    return hashlib.sha256(factor.secret.encode()).hexdigest()


def _step_of(secret: str, code: str, window: int, now: dt.datetime) -> int | None:
    """The step whose code this is; every step of the window is looked at, so that the time reveals nothing."""
    code = re.sub(r"[\s-]", "", code)
    if not _APP_CODE.fullmatch(code):
        return None
    totp, current, matching = TOTP(secret), int(now.timestamp()) // STEP, None
    for step in range(current - window, current + window + 1):
        if hmac.compare_digest(totp.generate_otp(step), code):
            matching = step
    return matching


def _backup_of(backups: Sequence[tuple[int, str]], given: str) -> int | None:
    """Which backup code this is.

    Codes are hashed as passwords are, but those of one person with one salt, so that a look costs one hash and not 16.
    """
    hashes: dict[str, str] = {}
    matching = None
    for number, stored in backups:
        salted = stored.rpartition("$")[0]
        if salted not in hashes:
            try:
                hashes[salted] = passwords.alike(given.lower(), stored)
            except (InvalidHashError, ValueError):
                continue
        if hmac.compare_digest(hashes[salted], stored):
            matching = number
    return matching


def _stored(codes: Sequence[str]) -> list[BackupCode]:
    salt = secrets.token_bytes(16)
    return [BackupCode(code=passwords.hash_of(code, salt)) for code in codes]


def _backup_code() -> str:
    return "".join(secrets.choice(_BACKUP_LETTERS) for _ in range(_BACKUP_LENGTH))


def _wrong(settings: Settings) -> str:
    return (
        f"The code is not right. Give the one that your app shows now for {settings.flowauth_two_factor_issuer}, or a "
        "backup code; if it goes on, see that the clock of your phone is right."
    )


def _read(vault: Vault, signed: str) -> dict[str, Any]:
    try:
        content = json.loads(vault.opened(signed))
    except (Refused, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _fresh(session: Session, user: User) -> User:
    """The person as the database has them now, whatever session they came from."""
    present = session.get_one(User, user.id, populate_existing=True)
    if present.two_factor is not None:
        session.refresh(present.two_factor)
    return present
