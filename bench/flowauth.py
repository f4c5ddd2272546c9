"""Every page and list of FlowAuth with many people, servers and roles: time, bytes, and SQL statements.

    python -m bench.flowauth [--uri postgresql://...] [--users 10000] [--servers 200] [--roles 2000]

Fills an empty database (SQLite in a temporary folder, or the one that is named, which must be new), then asks every
address that can be read, as an administrator and as an analyst, in this process. Prints the median of several times,
and of the processor's time, which tells the same on a machine that is busy with other things. It
ends with 1 where a page takes 200 ms or 100 kB, or an API list 200 ms. Lists of the API that FlowKit gives whole are
asked whole, which is told and not judged, and as scripts ask them here, with a limit.
"""

import argparse
import datetime as dt
import logging
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography.fernet import Fernet
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import event
from sqlalchemy.orm import Session

from flowauth import access
from flowauth.app import create_app
from flowauth.services import audit, sign_in
from flowauth.settings import Settings
from flowauth.tables import (
    AuditRecord,
    Role,
    Scope,
    Server,
    SigningKey,
    Token,
    User,
    scopes_in_role,
    tokens_with_roles,
    users_with_roles,
)
from flowkit_jwt_generator.keys import generate_keypair

MOST_SECONDS, MOST_BYTES = 0.2, 100_000
UNITS = ("admin0", "admin1", "admin2", "admin3", "lon-lat")
SCOPES = [
    "get_available_dates",
    "get_qa_checks",
    "get_result",
    "run",
    *(f"{unit}:kind_of_query_{top}:kind_of_query_{top}" for unit in UNITS for top in range(12)),
    *(f"{unit}:kind_of_query_{top}:part_of_it_{n}" for unit in UNITS for top in range(12) for n in range(9)),
    *(f"nonspatial:histogram_aggregate:part_of_it_{n}" for n in range(24)),
]
"""As many as a FlowAPI of all kinds offers."""
OF_A_ROLE = 600
TOKENS_OF_THE_BUSY = 500
RECORDS = 50_000


@dataclass(frozen=True)
class Size:
    """How much there is."""

    users: int = 10_000
    servers: int = 200
    roles: int = 2_000
    records: int = RECORDS


@dataclass(frozen=True)
class Asked:
    """One address that was asked."""

    who: str
    path: str
    status: int
    seconds: float
    processor: float
    size: int
    statements: int
    page: bool

    @property
    def judged(self) -> bool:
        """Whether it is a page, or what is bounded in size."""
        return self.path not in WHOLE

    @property
    def too_much(self) -> bool:
        """Whether it takes longer, or more, than it may."""
        if not self.judged:
            return False
        return self.status != 200 or self.seconds > MOST_SECONDS or (self.page and self.size > MOST_BYTES)


def settings(uri: str) -> Settings:
    return Settings.model_validate(
        {
            "private_jwt_signing_key": generate_keypair()[0].decode(),
            "flowauth_fernet_key": Fernet.generate_key().decode(),
            "secret_key": "a secret of a benchmark",
            "db_uri": uri,
            "flowauth_follow_seconds": 0,
        }
    )


def fill(engine: sa.Engine, size: Size) -> None:
    """Fill an empty database. User 1 administers; user 2 holds roles on every server, and all of the first one's."""
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    with engine.begin() as connection:
        kid = connection.scalar(sa.select(SigningKey.kid))

        def put(table: Any, rows: list[dict[str, Any]]) -> None:
            for start in range(0, len(rows), 20_000):
                connection.execute(sa.insert(table), rows[start : start + 20_000])

        put(
            User,
            [
                {"id": n, "username": f"person_{n:05}", "is_admin": n == 1, "require_two_factor": False, "created": now}
                for n in range(1, size.users + 1)
            ],
        )
        put(
            Server,
            [
                {
                    "id": n,
                    "name": f"SERVER_OF_OPERATOR_{n:03}",
                    "longest_token_life_minutes": 90 * 24 * 60,
                    "document_url": f"https://api-{n}.example.org",
                    "document_read": now,
                }
                for n in range(1, size.servers + 1)
            ],
        )
        scopes = [{"name": s, "enabled": True, "server_id": n} for n in range(1, size.servers + 1) for s in SCOPES]
        put(Scope, scopes)
        put(
            Role,
            [
                {
                    "id": n,
                    "name": f"role_{n:04}",
                    "server_id": (n - 1) % size.servers + 1,
                    "longest_token_life_minutes": 30 * 24 * 60,
                    "require_two_factor": False,
                }
                for n in range(1, size.roles + 1)
            ],
        )
        kept = sa.select(Role.id, Scope.id).join(Scope, Scope.server_id == Role.server_id)
        kept = kept.where(Scope.name.in_(SCOPES[:OF_A_ROLE]))
        connection.execute(sa.insert(scopes_in_role).from_select(["role_id", "scope_id"], kept))
        held = {(n, 1) for n in range(1, size.users + 1)}
        held |= {(n, (n * 7 + k) % size.roles + 1) for n in range(1, size.users + 1) for k in range(3)}
        held |= {(2, n) for n in range(1, size.servers + 1)} | {(2, n) for n in range(1, size.roles + 1, size.servers)}
        put(users_with_roles, [{"user_id": user, "role_id": role} for user, role in sorted(held)])
        issued = sorted(held - {(n, 1) for n in range(3, size.users + 1)}) + [(2, 1)] * TOKENS_OF_THE_BUSY
        tokens = [
            {
                "id": n,
                "jti": str(uuid.UUID(int=n)),
                "name": f"token_{n}",
                "issued": now - dt.timedelta(days=n % 60),
                "expiry": now + dt.timedelta(days=30 - n % 60, hours=1),
                "kid": kid,
                "role_names": [],
                "revoked": now if n % 10 == 0 else None,
                "revoked_because": "its holder ended it" if n % 10 == 0 else None,
                "user_id": user,
                "server_id": (role - 1) % size.servers + 1,
            }
            for n, (user, role) in enumerate(issued, start=1)
        ]
        put(Token, tokens)
        put(tokens_with_roles, [{"token_id": n, "role_id": role} for n, (_, role) in enumerate(issued, start=1)])
        last = connection.execute(sa.select(AuditRecord.id, AuditRecord.hash).order_by(AuditRecord.id.desc())).first()
        first, previous = (last.id + 1, last.hash) if last else (1, audit.BEGINNING)
        records = []
        for number in range(size.records):
            told = {
                "at": now,
                "actor": f"person_{number % 50 + 1:05}",
                "action": "role.change",
                "subject": f"SERVER_OF_OPERATOR_{number % 200:03}: role_{number % 2000:04}",
                "before": {"scopes": SCOPES[: number % 20]},
                "after": {"scopes": SCOPES[: number % 30]},
                "previous": previous,
            }
            previous = audit.sealed(AuditRecord(**told))
            records.append({"id": first + number, **told, "hash": previous})
        put(AuditRecord, records)
        if engine.dialect.name == "postgresql":
            for table in ("user", "server", "scope", "role", "token_history", "audit"):
                connection.execute(
                    sa.text(f"SELECT setval(pg_get_serial_sequence('\"{table}\"', 'id'), max(id)) FROM \"{table}\"")
                )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


def addresses(app: FastAPI, size: Size) -> list[str]:
    """Every address that can be read, with what there is most of; and lists searched, and at their last page."""
    with Session(app.state.database.engine) as session:
        kid = session.scalar(sa.select(SigningKey.kid)) or ""
        token = session.scalar(sa.select(Token.id).where(Token.user_id == 2, Token.server_id == 1).limit(1))
    values = {
        "user_id": 2,
        "server_id": 1,
        "role_id": 1,
        "token_id": token,
        "kid": kid,
        "server_name": "SERVER_OF_OPERATOR_001",
    }
    paths = []
    for route in _routes(app.routes):
        path = route.path
        for name, value in values.items():
            path = path.replace(f"{{{name}}}", str(value)).replace(f"{{{name}:int}}", str(value))
        if "{" not in path:
            paths.append(path)
    paths += [f"{path}?limit=100" for path in LIMITED if path in paths]
    paths += [
        f"/manage/users?page={size.users // 50}",
        "/manage/users?find=42",
        "/manage/users/2?find=role_19",
        "/manage/access?page=100",
        "/manage/access?find=42",
        "/manage/access?server=1",
        "/manage/audit?page=100",
        "/manage/audit?find=role_0042",
        "/manage/revocations?which=live",
        "/manage/revocations?find=person_00002",
        "/manage/roles?server=1",
        "/manage/roles?page=20",
        "/manage/roles?find=role_19",
        "/manage/roles/new?server=1",
        "/manage/roles/1/members?who=everybody",
        "/manage/roles/1?find=admin3",
    ]
    return sorted(set(paths))


def _routes(routes: Any) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
            yield route
        # What was included is one route to some versions of FastAPI.
        inner = getattr(getattr(route, "original_router", None), "routes", None)
        if inner:
            yield from _routes(inner)


LIMITED = ("/roles/", "/admin/users", "/tokens/tokens/1")
WHOLE = (*LIMITED, "/roles/1/members", "/user/roles/server/1", "/admin/audit/verify")
"""What the API gives whole, however much it is; the last one reads the audit log from end to end."""
LEAVES_OUT = (
    "/signout",
    "/sign-out",
    "/sign-in",
    "/set-up-two-factor",
    "/openapi.json",
    "/my/provider",
    "/user/generate",
)
"""What ends the sign-in, or sends elsewhere whoever is signed in."""
FILES = (".csv", ".pem")


def ask(app: FastAPI, size: Size, times: int = 5) -> list[Asked]:
    """Ask every address as the administrator and as the analyst; those that an analyst may not ask are left out."""
    state = app.state
    found = []
    for number, who in ((1, "administrator"), (2, "analyst")):
        with state.database.write() as session:
            cookie, _ = sign_in.open_sign_in(
                session, state.settings, session.get_one(User, number), "127.0.0.1", by="password"
            )
        browser = TestClient(app, base_url="http://localhost", follow_redirects=False)
        browser.cookies.set(access.COOKIE, cookie)
        for path in addresses(app, size):
            if path == "/" or path.startswith(LEAVES_OUT) or path.endswith(FILES):
                continue
            with counted(state.database.engine) as statements:
                first = browser.get(path)
            if first.status_code in (303, 307, 403) or (first.status_code == 404 and "/my/" in path):
                continue
            # What is the administrator's own is told once, for the analyst, who has more of it.
            if who == "administrator" and path.startswith(("/my/", "/tokens/", "/user/", "/account")):
                continue
            if who == "analyst" and not path.startswith(("/my/", "/tokens/", "/user/", "/account")):
                continue
            seconds, processor = [], []
            for _ in range(times):
                began, burnt = time.perf_counter(), time.process_time()
                browser.get(path)
                seconds.append(time.perf_counter() - began)
                processor.append(time.process_time() - burnt)
            page = first.headers.get("content-type", "").startswith("text/html")
            took, burnt = statistics.median(seconds), statistics.median(processor)
            found.append(Asked(who, path, first.status_code, took, burnt, len(first.content), len(statements), page))
    return found


@contextmanager
def counted(engine: sa.Engine) -> Iterator[list[str]]:
    """Collect the statements that are executed meanwhile, but for those that begin transactions."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


def told(found: list[Asked]) -> str:
    """A table of what was asked, the slowest first."""
    lines = [f"{'ms':>7} {'CPU ms':>7} {'kB':>7} {'SQL':>4}  who            address"]
    for each in sorted(found, key=lambda each: -each.seconds):
        mark = f"  <- {each.status if each.status != 200 else 'too much'}" if each.too_much else ""
        mark = mark or ("" if each.judged else "  (whole)")
        lines.append(
            f"{each.seconds * 1000:7.1f} {each.processor * 1000:7.1f} {each.size / 1000:7.1f} {each.statements:4}  "
            f"{each.who:14} {each.path}{mark}"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uri")
    parser.add_argument("--users", type=int, default=Size.users)
    parser.add_argument("--servers", type=int, default=Size.servers)
    parser.add_argument("--roles", type=int, default=Size.roles)
    options = parser.parse_args()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    size = Size(options.users, options.servers, options.roles)
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(settings(options.uri or f"sqlite:///{Path(folder) / 'flowauth.db'}"))
        began = time.perf_counter()
        fill(app.state.database.engine, size)
        print(f"{size} of {OF_A_ROLE} scopes each, filled in {time.perf_counter() - began:.0f} s")
        found = ask(app, size)
        app.state.database.close()
    print(told(found))
    over = [each for each in found if each.too_much]
    print(f"{len(found)} addresses, {len(over)} take more than {MOST_SECONDS * 1000:.0f} ms or {MOST_BYTES:,} bytes")
    return bool(over)


if __name__ == "__main__":
    sys.exit(main())
