"""Servers: the FlowAPIs for which tokens are made, and the scopes that each lists in its document."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import json
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import sqlalchemy as sa
from sqlalchemy.orm import Session

from flowauth.errors import NameTaken, NotThere, Refused
from flowauth.services import audit, tokens
from flowauth.services.limits import Limits
from flowauth.tables import LONGEST_NAME, LONGEST_SCOPE, Role, Scope, Server, Token
from flowkit_jwt_generator import scopes

LARGEST_DOCUMENT = 5_000_000
MOST_SCOPES = 50_000
PATIENCE = 15
"""Seconds that a server has to send its document."""
LONGEST_ADDRESS, LARGEST_PORT = 2000, 65_535
METADATA = frozenset({"fd00:ec2::254", "100.100.100.200"})
"""Where clouds serve a machine its own secrets, beside the link-local addresses."""


@dataclass(frozen=True)
class Document:
    """What FlowAuth reads in an API's document: whose it is, and what there is to permit."""

    audience: str
    scopes: frozenset[str]


@dataclass(frozen=True)
class Difference:
    """What a new document changes: scopes that come, that go, and the roles that lose some of them."""

    added: frozenset[str]
    gone: frozenset[str]
    roles: Mapping[str, int]
    """How many scopes each role loses."""


def read_document(content: bytes) -> Document:
    """Read an API's document (OpenAPI, JSON): `x-audience` and `x-security-scopes` of its security scheme `token`."""
    if len(content) > LARGEST_DOCUMENT:
        raise Refused(
            f"The document has {len(content):,} bytes; one of FlowAPI has far fewer than {LARGEST_DOCUMENT:,}. Take "
            "/api/0/spec/openapi.json of the server.",
            "document",
        )
    try:
        part: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Refused("The document is not JSON; take /api/0/spec/openapi.json of the server.", "document") from error
    for name in ("components", "securitySchemes", "token"):
        part = part.get(name) if isinstance(part, dict) else None
    if not isinstance(part, dict):
        raise Refused(
            "The document has no components.securitySchemes.token, so it is not one of FlowAPI; take "
            "/api/0/spec/openapi.json of the server.",
            "document",
        )
    scopes = part.get("x-security-scopes")
    if not scopes:
        raise Refused("x-security-scopes of the document names no scope.", "document")
    return described(part.get("x-audience"), scopes)


def described(audience: object, scopes: object) -> Document:
    """What a document says, if it can be: a name that can stand in a token, and scopes that can stand in a role."""
    if (
        not isinstance(audience, str)
        or not audience
        or audience != audience.strip()
        or len(audience) > LONGEST_NAME
        or not audience.isprintable()
    ):
        raise Refused(
            f"The server's name (x-audience) must be 1 to {LONGEST_NAME} printable characters, no blank at either end.",
            "document",
        )
    if not isinstance(scopes, list) or len(scopes) > MOST_SCOPES:
        raise Refused(f"x-security-scopes of the document must be a list of 1 to {MOST_SCOPES:,} texts.", "document")
    for scope in scopes:
        if not isinstance(scope, str) or not scope.isprintable() or not 0 < len(scope) <= LONGEST_SCOPE:
            raise Refused(
                f"x-security-scopes of the document must hold texts of 1 to {LONGEST_SCOPE} printable characters.",
                "document",
            )
    return Document(audience, frozenset(scopes))


def valid_address(url: str) -> str:
    """The address of a server or its document, if it can be one: http or https, and no password in it."""
    try:
        read = httpx.URL(url)
        right = url.isprintable() and len(url) <= LONGEST_ADDRESS and read.scheme in ("http", "https") and read.host
        right = right and (read.port or 1) <= LARGEST_PORT
    except httpx.InvalidURL:
        right, read = False, httpx.URL()
    if not right:
        raise Refused(f"'{url}' is not an address that begins with http:// or https://.", "document_url")
    if read.userinfo:
        raise Refused("An address is shown and logged, so it holds neither a name nor a password.", "document_url")
    return url


def fetch_document(url: str) -> bytes:
    """Read the document of a server at its address: FlowAPI's own, or that of the document itself."""
    url = valid_address(url)
    address = url if url.endswith(".json") else url.rstrip("/") + "/api/0/spec/openapi.json"
    try:
        return asyncio.run(_fetched(httpx.URL(address)))
    except TimeoutError:
        raise Refused(f"{address} did not send its document within {PATIENCE} seconds.", "document_url") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Refused(f"{address} could not be read: {error or type(error).__name__}.", "document_url") from error


async def _fetched(address: httpx.URL) -> bytes:
    # httpx bounds each wait; what sends a byte now and then is bounded here alone.
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient(timeout=PATIENCE, follow_redirects=False) as client:
        hosts = await _hosts(address)
        for host in hosts[:-1]:
            with contextlib.suppress(httpx.ConnectError):
                return await _read(client, address, host)
        return await _read(client, address, hosts[-1])


async def _hosts(address: httpx.URL) -> list[str]:
    """The addresses of a host, none of which is one where a machine's own secrets are served."""
    try:
        resolved = await asyncio.get_running_loop().getaddrinfo(
            address.host, address.port or {"http": 80, "https": 443}[address.scheme], type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError) as error:
        raise Refused(f"{address} could not be read: there is no such host.", "document_url") from error
    hosts = list(dict.fromkeys(str(each[4][0]) for each in resolved))
    for host in hosts:
        read = ipaddress.ip_address(host)
        read = (isinstance(read, ipaddress.IPv6Address) and read.ipv4_mapped) or read
        if read.is_link_local or read.is_multicast or read.is_unspecified or str(read) in METADATA:
            raise Refused(f"{address} is at {host}, where no FlowAPI can be.", "document_url")
    return hosts


async def _read(client: httpx.AsyncClient, address: httpx.URL, host: str) -> bytes:
    """Read what is at an address by one of its host's addresses, so that it is the one that was looked at."""
    # What is packed may be small and become large; it is read, and counted, unpacked.
    headers = {"Accept-Encoding": "identity", "Host": address.netloc.decode("ascii")}
    target = address.copy_with(host=host)
    more = {"sni_hostname": address.raw_host.decode("ascii")}
    async with client.stream("GET", target, headers=headers, extensions=more) as answer:
        if answer.status_code != httpx.codes.OK:
            raise Refused(f"{address} answered {answer.status_code} and no document.", "document_url")
        content = bytearray()
        async for piece in answer.aiter_raw():
            content += piece
            if len(content) > LARGEST_DOCUMENT:
                break
        return bytes(content)


def create(session: Session, actor: str, document: Document, limits: Limits, document_url: str | None = None) -> Server:
    """Add a server by its document; its name is the document's audience."""
    _name_is_free(session, document.audience)
    server = Server(
        name=document.audience,
        latest_token_expiry=limits.latest_token_expiry,
        longest_token_life_minutes=limits.longest_token_life_minutes,
        document_url=valid_address(document_url) if document_url else None,
        document_read=dt.datetime.now(dt.UTC),
        scopes=[Scope(name=name) for name in sorted(document.scopes)],
    )
    session.add(server)
    audit.record(session, actor, "server.create", server.name, after={**facts(server), "scopes": len(server.scopes)})
    return server


def find(session: Session, server_id: int) -> Server:
    """A server by its number."""
    server = session.get(Server, server_id)
    if server is None:
        raise NotThere("There is no such server.")
    return server


def named(session: Session, name: str) -> Server:
    """A server by its name."""
    # PostgreSQL takes no NUL in a text; no name has what cannot be printed.
    server = session.scalar(sa.select(Server).where(Server.name == name)) if name.isprintable() else None
    if server is None:
        raise NotThere("There is no such server.")
    return server


def names(session: Session) -> Sequence[sa.Row[tuple[int, str]]]:
    """The numbers and names of all servers, by name."""
    return session.execute(sa.select(Server.id, Server.name).order_by(Server.name)).all()


def search(find: str = "") -> sa.Select[tuple[Server, int, int]]:
    """Servers by name, each with the numbers of its scopes and roles."""
    scopes, roles = (
        sa.select(sa.func.count()).where(of.server_id == Server.id).scalar_subquery() for of in (Scope, Role)
    )
    select = sa.select(Server, scopes, roles).order_by(Server.name)
    return select.where(Server.name.icontains(find, autoescape=True)) if find else select


def scopes_of(session: Session, server: Server) -> Sequence[Scope]:
    """All scopes of a server, by name."""
    return session.scalars(sa.select(Scope).where(Scope.server_id == server.id).order_by(Scope.name)).all()


def change(session: Session, actor: str, server: Server, limits: Limits, document_url: str | None = None) -> None:
    """Give a server other limits, or another address; refused if a role exceeds the limits."""
    for role in server.roles:
        limits.hold(role.name, role.latest_token_expiry, role.longest_token_life_minutes)
    before = facts(server)
    server.latest_token_expiry = limits.latest_token_expiry
    server.longest_token_life_minutes = limits.longest_token_life_minutes
    if server.document_url != (document_url or None):
        server.document_url = valid_address(document_url) if document_url else None
        server.document_requested, server.document_problem = None, None
    audit.record(session, actor, "server.change", server.name, before=before, after=facts(server))
    tokens.end_beyond(session, actor, Token.server_id == server.id, limits, f"limits of {server.name}")


def difference(session: Session, server: Server, document: Document) -> Difference:
    """What a document would change, before it does."""
    if document.audience != server.name:
        raise Refused(
            f"The document is of the server '{document.audience}', not of '{server.name}'; add that as a server of "
            "its own.",
            "document",
        )
    present = {scope.name for scope in server.scopes}
    gone = present - document.scopes
    losing: dict[str, int] = {}
    if gone:
        counted = (
            sa.select(Role.name, sa.func.count())
            .join(Role.scopes)
            .where(Role.server_id == server.id, Scope.name.in_(gone))
            .group_by(Role.name)
        )
        losing = dict(session.execute(counted).tuples().all())
    return Difference(document.scopes - present, frozenset(gone), losing)


def follow(session: Session, actor: str, server: Server, document: Document) -> Difference:
    """Take over the scopes of a server's new document; those that are gone drop out of its roles."""
    changed = difference(session, server, document)
    for scope in list(server.scopes):
        if scope.name in changed.gone:
            server.scopes.remove(scope)
    server.scopes.extend(Scope(name=name) for name in sorted(changed.added))
    server.document_read = dt.datetime.now(dt.UTC)
    server.document_problem = None
    if changed.added or changed.gone:
        after = {"added": sorted(changed.added), "gone": sorted(changed.gone), "roles": dict(changed.roles)}
        audit.record(session, actor, "server.scopes", server.name, after=after)
    return changed


def matching(server: Server, patterns: Iterable[str]) -> frozenset[int]:
    """The numbers of a server's scopes that fit any of some patterns, in which * stands for anything."""
    patterns = tuple(patterns)
    return frozenset(scope.id for scope in server.scopes if scopes.matches(scope.name, patterns))


def enable(session: Session, actor: str, server: Server, enabled: Mapping[int, bool]) -> int:
    """Say which scopes tokens may hold; scopes that are not named stay as they are.

    Roles that hold a scope which is switched off give less than before: tokens of theirs end. Gives how many do.
    """
    changed = [scope for scope in server.scopes if scope.enabled != enabled.get(scope.id, scope.enabled)]
    if not changed:
        return 0
    for scope in changed:
        scope.enabled = not scope.enabled
    on, off = ([scope for scope in changed if scope.enabled is state] for state in (True, False))
    facts = {"switched on": on, "switched off": off}
    after = {words: sorted(scope.name for scope in scopes) for words, scopes in facts.items() if scopes}
    audit.record(session, actor, "scope.enable", server.name, after=after)
    if not off:
        return 0
    losing = Token.roles.any(Role.scopes.any(Scope.id.in_([scope.id for scope in off])))
    which = sa.and_(Token.server_id == server.id, losing)
    because = f"scopes of {server.name} were switched off"
    return tokens.end(session, actor, which, because, dt.datetime.now(dt.UTC))


def delete(session: Session, actor: str, server: Server) -> None:
    """Delete a server with its roles; FlowAuth makes no more tokens for it, and knows of none."""
    after = {"roles": [role.name for role in server.roles]}
    audit.record(session, actor, "server.delete", server.name, before=facts(server), after=None)
    audit.record(session, actor, "server.roles", server.name, before=after, after={"roles": []})
    session.delete(server)


def facts(server: Server) -> dict[str, Any]:
    """What the audit log says of a server."""
    return {
        "latest_token_expiry": server.latest_token_expiry,
        "longest_token_life_minutes": server.longest_token_life_minutes,
        "document_url": server.document_url,
    }


def _name_is_free(session: Session, name: str) -> None:
    if session.scalar(sa.select(Server.id).where(Server.name == name)) is not None:
        raise NameTaken(f"There is a server '{name}' already; open it to give it the new document.", "document")
