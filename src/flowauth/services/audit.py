"""The audit log: what was done, by whom, from what to what; each record sealed with the hash of the one before."""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from flowauth.tables import AuditRecord

BEGINNING = "0" * 64
"""What stands for the hash of the record before the first."""
SYSTEM = "flowauth"
"""The actor of what nobody in particular does."""


def record(
    session: Session,
    actor: str,
    action: str,
    subject: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write what was done into the transaction that does it.

    `action` is `thing.verb` ("role.change"), `subject` names what it was done to. Of `before` and `after`, what is
    equal in both is left out. Neither a password nor a token nor a secret may be in them.
    """
    if before is not None and after is not None:
        changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
        before, after = ({k: v for k, v in side.items() if k in changed} for side in (before, after))
        if not changed:
            return
    session.flush()
    last = session.scalar(sa.select(AuditRecord.hash).order_by(AuditRecord.id.desc()).limit(1))
    entry = AuditRecord(
        at=dt.datetime.now(dt.UTC),
        actor=actor,
        action=action,
        subject=subject,
        before=_plain(before),
        after=_plain(after),
        previous=last or BEGINNING,
    )
    entry.hash = sealed(entry)
    session.add(entry)


def sealed(entry: AuditRecord) -> str:
    """The hash of a record: SHA-256 over the hash before and all that the record says."""
    sides = (canonical(entry.before), canonical(entry.after))
    return _hash(entry.previous, entry.at, entry.actor, entry.action, entry.subject, *sides)


canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
"""JSON in the one form in which it is stored and sealed, so that a log is checked without being read as JSON."""


def _hash(previous: str, at: dt.datetime, *parts: str | None) -> str:
    return hashlib.sha256(canonical([previous, at.astimezone(dt.UTC).isoformat(), *parts]).encode()).hexdigest()


def first_broken(session: Session) -> int | None:
    """The id of the first record that was changed, or before which one is missing; None if the chain holds.

    That records are missing at the end is seen by the last hash alone: note it elsewhere now and then.
    """
    previous = BEGINNING
    columns = AuditRecord.__table__.columns
    stored = (sa.cast(columns.before, sa.Text), sa.cast(columns.after, sa.Text))
    # Rows, not objects, and texts, not what they say: a log of years is read through in a fifth of the time.
    rows = sa.select(
        columns.id, columns.hash, columns.previous, columns.at, columns.actor, columns.action, columns.subject, *stored
    )
    rows = rows.order_by(columns.id).execution_options(yield_per=1000)
    for number, hashed, *whole in session.connection().execute(rows):
        if whole[0] != previous or hashed != _hash(*whole):
            return number
        previous = hashed
    return None


@dataclass(frozen=True)
class Chain:
    """What a check of the chain says: the record at which it is broken, if it is, how many there are, the last hash."""

    broken: int | None
    records: int
    latest: str


def check(session: Session) -> Chain:
    """Check the chain from its beginning."""
    number = session.scalar(sa.select(sa.func.count()).select_from(AuditRecord)) or 0
    return Chain(first_broken(session), number, latest_hash(session))


def latest_hash(session: Session) -> str:
    """The hash of the last record, to be noted elsewhere now and then."""
    return session.scalar(sa.select(AuditRecord.hash).order_by(AuditRecord.id.desc()).limit(1)) or BEGINNING


def search(actor: str = "", action: str = "", subject: str = "") -> sa.Select[tuple[AuditRecord]]:
    """Records, the latest first: of an actor, of actions that begin with a text, with a text in their subject."""
    select = sa.select(AuditRecord).order_by(AuditRecord.id.desc())
    if actor:
        select = select.where(AuditRecord.actor == actor)
    if action:
        select = select.where(AuditRecord.action.startswith(action, autoescape=True))
    return select.where(AuditRecord.subject.icontains(subject, autoescape=True)) if subject else select


def _plain(facts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What JSON can hold, as it will be read back."""
    return None if facts is None else json.loads(json.dumps(facts, sort_keys=True, default=_text))


def _text(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)
