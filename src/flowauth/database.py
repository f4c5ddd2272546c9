"""The database of FlowAuth: SQLite or PostgreSQL, brought to the newest migration when it is opened."""

import contextlib
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from flowauth.services import audit
from flowkit_base.databases import PATIENCE, DatabaseError, database_url, open_database

MIGRATIONS = Path(__file__).parent / "migrations"
ONE_AT_A_TIME = 7_283_102
"""The advisory lock that PostgreSQL holds for a transaction that writes."""


class Database:
    """A database of FlowAuth; safe to use from several threads and processes."""

    def __init__(self, uri: str, password: str = "", breached: Path | None = None) -> None:
        self.engine = _engine(uri, password)
        on_postgres = self.engine.dialect.name == "postgresql"
        # On SQLite, too, what a transaction reads is of one moment, whatever is written meanwhile.
        one_moment = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True} if on_postgres else {}
        self._reading = self.engine.execution_options(reads=True, **one_moment)
        # What new passwords are looked up in goes with the sessions that write them.
        self._info = {"breached": breached}
        _migrate(self.engine)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that changes nothing, and sees the database as it is at its first statement."""
        with Session(self._reading, info={"write": self.write}) as session:
            yield session
            session.rollback()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session in which nobody else writes; it holds whole, or not at all.

        What counts attempts commits in the midst of it, so that a count outlives the refusal; the session then goes on
        in a transaction of its own, in which again nobody else writes.
        """
        with Session(self.engine, expire_on_commit=False, info=self._info) as session:
            yield session
            session.commit()

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


def _engine(uri: str, password: str) -> sa.Engine:
    """Connect lazily to a database URI in which {} stands for the password.

    On either engine a transaction waits, before its first statement, for whoever writes: two administrators decide one
    after the other, and the audit log is one chain. One that reads waits for nobody.
    """
    url = database_url("DB_URI", uri, password)
    if url.get_backend_name() == "postgresql":
        # Each statement after the lock must see what those before have written, whatever the server's default is.
        level = "READ COMMITTED"
        return open_database(url, begin=_wait_for_the_writer, isolation_level=level, json_serializer=audit.canonical)
    file = Path(url.database or "")
    # A wrong path must not become an empty FlowAuth without people.
    if not file.parent.is_dir():
        raise DatabaseError(f"DB_URI: there is no folder {file.parent} for the database; make it, or name another one.")
    engine = open_database(url, json_serializer=audit.canonical)
    event.listen(engine, "connect", _prepare_sqlite)
    _keep_private(file)
    return engine


def _wait_for_the_writer(connection: sa.Connection) -> None:
    if not connection.get_execution_options().get("reads"):
        patience = sa.func.set_config("lock_timeout", f"{int(PATIENCE * 1000)}ms", True)
        connection.execute(sa.select(patience, sa.func.pg_advisory_xact_lock(ONE_AT_A_TIME)))


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # A revocation must outlive a power cut too.
    connection.execute("PRAGMA synchronous=FULL")


def _keep_private(path: Path) -> None:
    """Leave the file to its owner alone if it is new, and take it from everybody but owner and group if it is not.

    SQLite gives the files beside it, of what is written last, the same mode.
    """
    with contextlib.suppress(OSError):
        path.touch(mode=0o600, exist_ok=False)
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        # Another user's file, or one that is not there, is the database's to complain of.
        with contextlib.suppress(OSError):
            if (mode := stat.S_IMODE(file.stat().st_mode)) & 0o007:
                file.chmod(mode & ~0o007)


def _migrate(engine: sa.Engine) -> None:
    """Bring the tables to the newest migration; a database that is newer than this FlowAuth is refused."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, ScriptDirectory.from_config(config).get_current_head() or "head")
    except CommandError as error:
        raise DatabaseError(
            f"The database is not one of this FlowAuth or an older one ({error}); use the FlowAuth that made it."
        ) from error
    except OperationalError as error:
        cause = str(error.orig).strip().splitlines()[0]
        raise DatabaseError(f"The database cannot be used: {cause}; see DB_URI and FLOWAUTH_DB_PASSWORD.") from error
