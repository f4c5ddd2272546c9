"""The audit log: what was done, by whom, from what to what; each record sealed with the hash of the one before."""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
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


def sealed(entry: AuditRecord | sa.Row[Any]) -> str:
    """The hash of a record: SHA-256 over the hash before and all that the record says."""
    said = [
        entry.previous,
        entry.at.astimezone(dt.UTC).isoformat(),
        entry.actor,
        entry.action,
        entry.subject,
        entry.before,
        entry.after,
    ]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def first_broken(session: Session) -> int | None:
    """The id of the first record that was changed, or before which one is missing; None where the chain holds.

    That records are missing at the end is seen by the last hash alone: note it elsewhere now and then.
    """
    previous = BEGINNING
    # Rows, not objects: a log of years is read through in a third of the time.
    rows = sa.select(*AuditRecord.__table__.columns).order_by(AuditRecord.id).execution_options(yield_per=1000)
    for entry in session.execute(rows):
        if entry.previous != previous or entry.hash != sealed(entry):
            return entry.id
        previous = entry.hash
    return None


def _plain(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What JSON can hold, as it will be read back."""
    return None if told is None else json.loads(json.dumps(told, sort_keys=True, default=_text))


def _text(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)
