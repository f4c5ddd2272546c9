"""Servers whose document is read again at its address every few minutes, so that new scopes come by themselves.

A document that would take scopes away from roles is not taken: the server's page says what would be lost, and an
administrator decides.
"""

import contextlib
import datetime as dt
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from flowauth.database import Database
from flowauth.errors import NotThere, Refused
from flowauth.services import audit, servers
from flowauth.tables import Server

READERS = 4
"""Servers that are asked at once; one that does not answer must not keep the others waiting."""
MOST_ROLES = 10

log = logging.getLogger("flowauth")


@dataclass(frozen=True)
class Due:
    """A server that is to be asked now, and nobody else asks it."""

    server_id: int
    name: str
    address: str


@contextlib.contextmanager
def following(database: Database, seconds: int) -> Iterator[None]:
    """Follow the servers' documents in the background, each at most once in so many seconds; 0 follows none."""
    stop = threading.Event()
    # A reader that waits for a server does not keep the process from ending.
    readers = [
        threading.Thread(target=_follow, args=(database, seconds, stop), name=f"following-{n}", daemon=True)
        for n in range(READERS if seconds else 0)
    ]
    for reader in readers:
        reader.start()
    try:
        yield
    finally:
        stop.set()


def claim(database: Database, seconds: int) -> Due | None:
    """Take the server that waits longest to be asked, if one was not asked for so many seconds.

    Every reader of every process claims here, so that each server is asked once.
    """
    now = dt.datetime.now(dt.UTC)
    due = (
        sa.select(Server.id, Server.name, Server.document_url)
        .where(
            Server.document_url.is_not(None),
            sa.or_(
                Server.document_requested.is_(None), Server.document_requested <= now - dt.timedelta(seconds=seconds)
            ),
        )
        .order_by(Server.document_requested.nulls_first(), Server.id)
        .limit(1)
    )
    with database.read() as session:
        if session.execute(due).first() is None:
            return None
    with database.write() as session:
        first = session.execute(due).first()
        if first is None:
            return None
        session.execute(sa.update(Server).where(Server.id == first.id).values(document_requested=now))
        return Due(first.id, first.name, first.document_url)


def ask(database: Database, due: Due) -> str | None:
    """Read the document of a server, and take over what it adds; give the problem if it was not taken."""
    try:
        document = servers.read_document(servers.fetch_document(due.address))
        with database.write() as session:
            server = _still(session, due)
            changed = servers.difference(session, server, document)
            if changed.roles:
                raise Refused(_losses(changed))
            servers.follow(session, audit.SYSTEM, server, document)
    except NotThere:
        return None
    except Refused as refused:
        _note(database, due, refused.message)
        return refused.message
    return None


def _follow(database: Database, seconds: int, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            due = claim(database, seconds)
            if due is not None:
                ask(database, due)
                continue
        except SQLAlchemyError:
            if stop.is_set():
                return
            log.exception("FlowAuth could not follow its servers' documents; it will try again.")
        except Exception:
            log.exception("FlowAuth failed at following its servers' documents; it will try again.")
        stop.wait(max(1.0, seconds / 10))


def _still(session: Session, due: Due) -> Server:
    """The server, if it is still there and has the address that was asked."""
    server = servers.find(session, due.server_id)
    if server.document_url != due.address:
        raise NotThere("The server has another address by now.")
    return server


def _note(database: Database, due: Due, problem: str) -> None:
    with database.write() as session, contextlib.suppress(NotThere):
        server = _still(session, due)
        if server.document_problem != problem:
            log.warning("The document of %s is not taken: %s", due.name, problem)
            server.document_problem = problem


def _losses(changed: servers.Difference) -> str:
    roles = sorted(changed.roles.items())
    names = ", ".join(f"'{name}' {number}" for name, number in roles[:MOST_ROLES])
    more = f" and {len(roles) - MOST_ROLES} roles more" if len(roles) > MOST_ROLES else ""
    return (
        "The document at the server's address would take scopes away from roles, so nothing of it was taken over. "
        f"These roles would lose scopes: {names}{more}. Read it again here to see all, and to take it over."
    )
