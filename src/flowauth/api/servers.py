"""Servers by script, for administrators."""

import json
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Request
from pydantic import Field
from sqlalchemy.orm import Session

from flowauth.access import Administrator, Id
from flowauth.api.documents import After, Answer, Body, Ended, HttpDate, Limited, Moment, Name, Whole
from flowauth.api.roles import RoleShort, ScopeAnswer
from flowauth.api.routes import FlowKitRoute
from flowauth.errors import Refused, fields
from flowauth.services import servers
from flowauth.services.limits import Limits
from flowauth.tables import Role, Scope, Server

flowkit = APIRouter(route_class=FlowKitRoute, tags=["servers"])
own = APIRouter(tags=["servers"])
Scopes = Annotated[list[str] | dict[str, bool] | None, Field(description="Names, or names and whether enabled.")]
Address = Annotated[str, Field(max_length=2000)]


class ServerAnswer(Answer):
    """A server."""

    id: int
    name: str
    latest_token_expiry: Moment | None
    longest_token_life_minutes: int
    document_url: str | None
    document_read: Moment | None
    document_problem: str | None


class NewServer(Body):
    """A new server: by its name, by its document, or by the address of its document."""

    name: Name | None = None
    latest_token_expiry: Moment | None = None
    longest_token_life_minutes: int
    scopes: Scopes = None
    document: dict[str, Any] | None = None
    document_url: Address | None = None


class ServerChange(Limited):
    """What changes of a server; what is left out stays."""

    name: Name | None = None
    scopes: Scopes = None
    document_url: Address | None = None


class NewDocument(Body):
    """A server's new document, or where it is; left out, it is read at the server's own address."""

    document: dict[str, Any] | None = None
    document_url: Address | None = None
    only_look: bool = False


class Differing(Answer):
    """What a document changes: scopes that come and go, and how many each role loses."""

    added: list[str]
    gone: list[str]
    roles: dict[str, int]
    taken: bool


class TimeLimits(Answer):
    """How long a server's tokens may live."""

    latest_token_expiry: HttpDate | None
    longest_token_life_minutes: int


@flowkit.get("/admin/servers")
def all_servers(request: Request, person: Administrator, limit: Whole = None, offset: After = 0) -> list[ServerAnswer]:
    """List the servers."""
    select = sa.select(Server).order_by(Server.id).limit(limit).offset(offset)
    with request.app.state.database.read() as session:
        return [ServerAnswer.model_validate(each) for each in session.scalars(select)]


@flowkit.post("/admin/servers")
def add_server(request: Request, person: Administrator, body: NewServer) -> ServerAnswer:
    """Add a server: by its name and scopes, by its document (OpenAPI), or by the address of its document."""
    limits = Limits(body.latest_token_expiry, body.longest_token_life_minutes)
    scopes: list[str] | dict[str, bool] = []
    if body.document is not None or (body.document_url is not None and body.scopes is None):
        document = _document(body.document, body.document_url)
        if body.name not in (None, document.audience):
            raise Refused(f"The document is of the server '{document.audience}', not of '{body.name}'.", "name")
    elif body.name is None:
        raise Refused("Give the server's name, its document, or the address of its document.", "name")
    else:
        scopes = body.scopes or []
        document = _described(body.name, scopes)
    with request.app.state.database.write() as session:
        server = servers.create(session, person.user.username, document, limits, body.document_url)
        session.flush()
        _enable(session, person.user.username, server, scopes)
        return ServerAnswer.model_validate(server)


@flowkit.get("/admin/servers/{server_id}")
def one_server(request: Request, server_id: Id, person: Administrator) -> ServerAnswer:
    """Show a server."""
    with request.app.state.database.read() as session:
        return ServerAnswer.model_validate(servers.find(session, server_id))


@flowkit.patch("/admin/servers/{server_id}")
def change_server(request: Request, server_id: Id, person: Administrator, body: ServerChange) -> ServerAnswer:
    """Change a server's limits, its scopes, or the address of its document."""
    with request.app.state.database.write() as session:
        server = servers.find(session, server_id)
        if body.name not in (None, server.name):
            raise Refused("The name of a server is the audience of its tokens, and stays; add another server.", "name")
        url = body.document_url if "document_url" in body.model_fields_set else server.document_url
        servers.change(session, person.user.username, server, body.limits(Limits.of(server)), url)
        if body.scopes is not None:
            _replace_scopes(session, person.user.username, server, body.scopes)
        return ServerAnswer.model_validate(server)


@flowkit.delete("/admin/servers/{server_id}")
def delete_server(request: Request, server_id: Id, person: Administrator) -> Ended:
    """Delete a server with its roles; FlowAuth forgets its tokens, which live on until they expire."""
    with request.app.state.database.write() as session:
        servers.delete(session, person.user.username, servers.find(session, server_id))
    return Ended(deleted=True, tokens_ended=0)


@flowkit.get("/admin/servers/{server_id}/roles")
def roles_of_server(request: Request, server_id: Id, person: Administrator) -> list[RoleShort]:
    """List the roles of a server."""
    with request.app.state.database.read() as session:
        servers.find(session, server_id)
        return RoleShort.all(session, sa.select(Role).where(Role.server_id == server_id))


@flowkit.get("/admin/servers/{server_id}/time_limits")
def time_limits(request: Request, server_id: Id, person: Administrator) -> TimeLimits:
    """Tell how long a server's tokens may live."""
    with request.app.state.database.read() as session:
        return TimeLimits.model_validate(servers.find(session, server_id))


@flowkit.get("/admin/servers/{server_id}/scopes")
def scopes_of_server(request: Request, server_id: Id, person: Administrator) -> list[ScopeAnswer]:
    """List what a server lets tokens do."""
    with request.app.state.database.read() as session:
        return _scopes(session, servers.find(session, server_id))


@flowkit.post("/admin/servers/{server_id}/scopes")
def replace_scopes(request: Request, server_id: Id, person: Administrator, body: dict[str, bool]) -> list[ScopeAnswer]:
    """Replace the scopes of a server: those that are not named go, and drop out of its roles."""
    with request.app.state.database.write() as session:
        server = servers.find(session, server_id)
        _replace_scopes(session, person.user.username, server, body)
        session.flush()
        return _scopes(session, server)


@own.post("/admin/servers/{server_id}/document")
def take_document(request: Request, server_id: Id, person: Administrator, body: NewDocument) -> Differing:
    """Take over a server's new document, or only look at what it changes."""
    with request.app.state.database.read() as session:
        url = body.document_url or servers.find(session, server_id).document_url
    # It is fetched while nobody waits for the database.
    document = _document(body.document, url)
    with request.app.state.database.write() as session:
        server = servers.find(session, server_id)
        if body.only_look:
            changed = servers.difference(session, server, document)
        else:
            changed = servers.follow(session, person.user.username, server, document)
        return Differing(
            added=sorted(changed.added), gone=sorted(changed.gone), roles=dict(changed.roles), taken=not body.only_look
        )


def _document(document: dict[str, Any] | None, url: str | None) -> servers.Document:
    if document is not None:
        return servers.read_document(json.dumps(document).encode())
    if url is None:
        raise Refused("Give the document, or the address at which it is read.", "document")
    return servers.read_document(servers.fetch_document(url))


def _described(name: str, scopes: list[str] | dict[str, bool]) -> servers.Document:
    with fields("scopes"):
        return servers.described(name, list(scopes))


def _replace_scopes(session: Session, actor: str, server: Server, scopes: list[str] | dict[str, bool]) -> None:
    servers.follow(session, actor, server, _described(server.name, scopes))
    session.flush()
    _enable(session, actor, server, scopes)


def _enable(session: Session, actor: str, server: Server, scopes: list[str] | dict[str, bool]) -> None:
    if isinstance(scopes, dict):
        servers.enable(session, actor, server, {scope.id: scopes[scope.name] for scope in server.scopes})


def _scopes(session: Session, server: Server) -> list[ScopeAnswer]:
    select = sa.select(Scope.id, Scope.name, Scope.enabled).where(Scope.server_id == server.id).order_by(Scope.name)
    return [ScopeAnswer.model_validate(row) for row in session.execute(select)]
