"""Tokens by script: one's own, and for administrators everybody's."""

import datetime as dt
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Request
from pydantic import Field
from sqlalchemy.orm import Session

from flowauth.access import Administrator, Id, SignedIn
from flowauth.api.documents import ROWS, After, Answer, Body, Filter, HttpDate, Most, Name, Number, Whole
from flowauth.api.roles import RoleShort
from flowauth.api.routes import FlowKitRoute
from flowauth.errors import NotAllowed, Refused
from flowauth.services import people, tokens
from flowauth.services.sign_in import Person
from flowauth.tables import Scope, Server, Token, scopes_in_role

flowkit = APIRouter(route_class=FlowKitRoute, tags=["tokens"])
own = APIRouter(tags=["tokens"])


class RoleOfMine(RoleShort):
    """A role that somebody holds, with what it lets them do; other members are left out."""

    scopes: list[int]
    scope_names: list[str]
    users: list[int]


class ServerName(Answer):
    """A server on which somebody holds a role."""

    id: int
    server_name: str


class Allowed(Answer):
    """What somebody's tokens for a server can hold, and until when they can live."""

    allowed_claims: list[str]
    latest_expiry: HttpDate


class RoleName(Body):
    """A role by its name; the number, if it is given, must be of the same role."""

    name: Name
    id: Number | None = None


class NameOfRole(Answer):
    """The name of a role."""

    name: str


class TokenAnswer(Answer):
    """A token as it is listed; `token` is null, because only the answer that makes a token holds it."""

    id: int
    name: str
    token: None
    expires: HttpDate
    server_name: str
    username: str | None
    roles: list[NameOfRole]
    issued: HttpDate
    revoked: HttpDate | None
    revoked_because: str | None


class NewToken(Body):
    """The new token."""

    name: Name
    roles: Annotated[list[RoleName], Field(max_length=1000)]
    lifetime_minutes: Number | None = None


class Renewal(Body):
    """How long the token that follows another is to live."""

    lifetime_minutes: Number | None = None


class TokenGiven(Answer):
    """The token; `warning` says what makes it shorter than the one before."""

    token: str
    id: int
    expires: HttpDate
    warning: str | None


class Revoked(Answer):
    """When a token was revoked."""

    id: int
    revoked: HttpDate


@flowkit.get("/user/roles/server/{server_id}")
def my_roles(request: Request, server_id: Id, person: SignedIn) -> list[RoleOfMine]:
    """List one's own roles on a server, for the form of a token."""
    with request.app.state.database.read() as session:
        server = session.get(Server, server_id)
        roles = tokens.roles_of(session, person.user, server) if server is not None else ()
        return [
            RoleOfMine(
                id=role.id,
                name=role.name,
                server=role.server_id,
                scopes=sorted(scope.id for scope in role.scopes),
                scope_names=sorted(scope.name for scope in role.scopes if scope.enabled),
                users=[person.user.id],
                latest_token_expiry=role.latest_token_expiry,
                longest_token_life_minutes=role.longest_token_life_minutes,
            )
            for role in roles
        ]


@flowkit.get("/tokens/servers")
def my_servers(request: Request, person: SignedIn) -> list[ServerName]:
    """List the servers on which one holds a role."""
    with request.app.state.database.read() as session:
        servers = tokens.servers_of(session, person.user)
        return [ServerName(id=server.id, server_name=server.name) for server in servers]


@flowkit.get("/tokens/servers/{server_id}")
def my_server(request: Request, server_id: Id, person: SignedIn) -> Allowed:
    """Tell what one's tokens for a server can hold, and until when they can live at the most."""
    now = dt.datetime.now(dt.UTC)
    with request.app.state.database.read() as session:
        server, roles = tokens.at(session, person.user, server_id)
        allowed = (
            sa.select(Scope.name)
            .join(scopes_in_role, scopes_in_role.c.scope_id == Scope.id)
            .where(
                scopes_in_role.c.role_id.in_([role.id for role in roles]), Scope.server_id == server_id, Scope.enabled
            )
            .distinct()
            .order_by(Scope.name)
        )
        return Allowed(
            allowed_claims=list(session.scalars(allowed)),
            latest_expiry=max(tokens.latest_end(server, [role], now)[0] for role in roles),
        )


@flowkit.get("/tokens/tokens/{server_id}")
def my_tokens(
    request: Request, server_id: Id, person: SignedIn, limit: Whole = None, offset: After = 0
) -> list[TokenAnswer]:
    """List one's tokens for a server; the tokens themselves are not kept, and `token` is null."""
    with request.app.state.database.read() as session:
        select = tokens.search(server_id=server_id, user_id=person.user.id)
        answer = _tokens(session, select, limit, offset)
        if not answer:
            # Who holds no role on it does not learn whether there is such a server.
            tokens.at(session, person.user, server_id)
        return answer


@flowkit.post("/tokens/tokens/{server_id}")
def make_token(request: Request, server_id: Id, person: SignedIn, body: NewToken) -> TokenGiven:
    """Make a token for some of one's roles on a server; only this answer holds it."""
    state = request.app.state
    with state.database.write() as session:
        user, server = people.find(session, person.user.id), session.get(Server, server_id)
        # Names are unique on a server alone, so they are looked up among one's own roles there.
        mine = {role.name: role for role in tokens.roles_of(session, user, server)} if server is not None else {}
        wrong = {each.name for each in body.roles if each.name not in mine or each.id not in (None, mine[each.name].id)}
        if wrong:
            # Who holds no role on it does not learn whether there is such a server.
            names = ", ".join(f"'{name}'" for name in sorted(wrong))
            raise NotAllowed(f"You do not hold these roles on this server: {names}.", "roles")
        server, _ = tokens.at(session, user, server_id)
        chosen = [mine[name] for name in dict.fromkeys(each.name for each in body.roles)]
        issued = tokens.issue(
            session, state.vault, user, server, chosen, name=body.name, lifetime_minutes=body.lifetime_minutes
        )
        return _given(issued, body.lifetime_minutes)


@flowkit.post("/tokens/tokens/{token_id}/renew")
def renew_token(request: Request, token_id: Id, person: SignedIn, body: Renewal | None = None) -> TokenGiven:
    """Make a token of the same name and roles, also of one that has expired; the old one lives on until its end."""
    state, minutes = request.app.state, body.lifetime_minutes if body else None
    with state.database.write() as session:
        user = people.find(session, person.user.id)
        old = tokens.find(session, token_id, user)
        return _given(tokens.renew(session, state.vault, user, old, minutes), minutes)


@own.post("/tokens/tokens/{token_id}/revoke")
def revoke_token(request: Request, token_id: Id, person: SignedIn) -> Revoked:
    """Revoke one's own token."""
    with request.app.state.database.write() as session:
        token = tokens.find(session, token_id, people.find(session, person.user.id))
        return _revoked(session, person, token, "its holder ended it")


@own.get("/admin/tokens")
def all_tokens(  # noqa: PLR0917
    request: Request,
    person: Administrator,
    server_id: Filter = None,
    user_id: Filter = None,
    live: bool | None = None,
    limit: Most = ROWS,
    offset: After = 0,
) -> list[TokenAnswer]:
    """List everybody's tokens, the first to end first; `live` chooses those that live, or those that have ended."""
    which = None if live is None else tokens.alive() if live else sa.not_(tokens.alive())
    with request.app.state.database.read() as session:
        return _tokens(session, tokens.search(server_id=server_id, user_id=user_id, which=which), limit, offset)


@own.post("/admin/tokens/{token_id}/revoke")
def revoke_any_token(request: Request, token_id: Id, person: Administrator) -> Revoked:
    """Revoke anybody's token."""
    with request.app.state.database.write() as session:
        token = tokens.find(session, token_id, None)
        return _revoked(session, person, token, "an administrator ended it")


@own.get("/admin/revocations")
def all_revocations(
    request: Request, person: Administrator, server_id: Filter = None, limit: Most = ROWS, offset: After = 0
) -> list[TokenAnswer]:
    """List the revoked tokens; the signed list of a server is at `/revocations/{name}`."""
    with request.app.state.database.read() as session:
        return _tokens(session, tokens.search(server_id=server_id, which=Token.revoked.is_not(None)), limit, offset)


def _given(issued: tokens.Issued, lifetime_minutes: int | None) -> TokenGiven:
    if issued.warning is not None and lifetime_minutes is not None:
        # FlowKit refuses a life that is too long; the transaction is rolled back.
        raise Refused(f"lifetime_minutes is more than is allowed. {issued.warning}", "lifetime_minutes")
    return TokenGiven(token=issued.text, id=issued.token.id, expires=issued.token.expiry, warning=issued.warning)


def _tokens(session: Session, select: sa.Select[tuple[Token]], limit: int | None, offset: int) -> list[TokenAnswer]:
    select = select.order_by(Token.expiry, Token.id).limit(limit).offset(offset)
    return [
        TokenAnswer(
            id=token.id,
            name=token.name,
            token=None,
            expires=token.expiry,
            server_name=token.server.name,
            username=token.user.username if token.user else None,
            roles=[NameOfRole(name=name) for name in sorted(role.name for role in token.roles)],
            issued=token.issued,
            revoked=token.revoked,
            revoked_because=token.revoked_because,
        )
        for token in session.scalars(select)
    ]


def _revoked(session: Session, person: Person, token: Token, because: str) -> Revoked:
    if token.revoked is None:
        if token.expiry <= dt.datetime.now(dt.UTC):
            raise Refused(f"The token '{token.name}' has expired already.")
        tokens.revoke(session, person.user.username, token, because)
    return Revoked(id=token.id, revoked=token.revoked or token.expiry)
