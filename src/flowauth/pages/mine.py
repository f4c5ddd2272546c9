"""One's own servers and tokens."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request
from sqlalchemy.orm import Session, selectinload
from starlette.datastructures import FormData
from starlette.responses import Response

from flowauth.access import Id, Posted, SignedIn
from flowauth.errors import Refused
from flowauth.pages import forms
from flowauth.pages.abilities import abilities
from flowauth.pages.lists import listed
from flowauth.pages.render import moment, page, then, weigh
from flowauth.services import people, servers, tokens
from flowauth.services.limits import Limits, longest_life
from flowauth.services.sign_in import Person
from flowauth.tables import Role, Scope, Server, Token, scopes_in_role, users_with_roles

router = APIRouter()
MOST_SCOPES = 2_000
"""Scopes of all roles together of which a form shows everything; of more it shows the kinds of query alone, and of
ten times as many their number."""
LIVES = ((60, "1 hour"), (480, "8 hours"), (1440, "1 day"), (10080, "7 days"), (43200, "30 days"), (129600, "90 days"))


@router.get("/my/servers")
def my_servers(request: Request, person: SignedIn) -> Response:
    """List the servers on which somebody holds a role."""
    mine = sa.select(Token.server_id, sa.func.count().label("live"), sa.func.max(Token.expiry).label("until"))
    mine = mine.where(Token.user_id == person.user.id, tokens.alive())
    live = mine.group_by(Token.server_id).subquery()
    mine_by_server = (
        sa.select(Role.server_id, sa.func.count().label("roles"))
        .join(users_with_roles, users_with_roles.c.role_id == Role.id)
        .where(users_with_roles.c.user_id == person.user.id)
        .group_by(Role.server_id)
        .subquery()
    )
    select = (
        sa.select(Server.id, Server.name, mine_by_server.c.roles, live.c.live, live.c.until)
        .join(mine_by_server, mine_by_server.c.server_id == Server.id)
        .outerjoin(live, live.c.server_id == Server.id)
        .order_by(Server.name)
    )
    with request.app.state.database.read() as session:
        return page(request, "my_servers.html", servers=listed(session, request, select))


@router.get("/my/servers/{server_id}")
def my_tokens(request: Request, server_id: Id, person: SignedIn) -> Response:
    """List somebody's tokens for a server, live ones apart from ended ones."""
    with request.app.state.database.read() as session:
        user = people.find(session, person.user.id)
        own = sa.select(Token).where(Token.user_id == person.user.id, Token.server_id == server_id)
        own = own.options(selectinload(Token.roles).load_only(Role.name))
        living = tokens.alive()
        live = listed(session, request, own.where(living).order_by(Token.expiry, Token.id), "live")
        ended = own.where(sa.not_(living)).order_by(Token.expiry.desc(), Token.id.desc())
        past = listed(session, request, ended, "ended", 20)
        if live.total or past.total:
            server = servers.find(session, server_id)
            roles = tokens.roles_of(session, user, server)
        else:
            # Who holds no role does not learn whether there is such a server.
            server, roles = tokens.at(session, user, server_id)
        role_ids = {role.id for role in roles}
        return page(request, "my_tokens.html", server=server, roles=roles, live=live, past=past, role_ids=role_ids)


@router.get("/my/servers/{server_id}/new-token")
def ask_for_token(request: Request, server_id: Id, person: SignedIn) -> Response:
    """Ask for the name, the roles and the life of a new token."""
    with request.app.state.database.read() as session:
        return _form(request, session, server_id, person)


@router.post("/my/servers/{server_id}/new-token")
def make_token(request: Request, server_id: Id, person: SignedIn, form: Posted) -> Response:
    """Make a token, and show it once."""
    state = request.app.state
    try:
        with state.database.write() as session:
            user, numbers = people.find(session, person.user.id), forms.numbers(form, "roles")
            server, roles = tokens.at(session, user, server_id)
            # By their numbers among one's own roles of this very server: a name may stand for another server's.
            chosen = [role for role in roles if role.id in numbers]
            if len(chosen) < len(numbers):
                raise Refused("You no longer hold some of these roles; choose again.", "roles")
            issued = tokens.issue(
                session, state.vault, user, server, chosen, name=forms.text(form, "name"), lifetime_minutes=_life(form)
            )
            return page(request, "new_token.html", issued=issued, server=server, renewed=None)
    except Refused as refused:
        with state.database.read() as session:
            return _form(request, session, server_id, person, form=form, refused=refused)


@router.get("/my/tokens/{token_id}/renew")
def ask_to_renew(request: Request, token_id: Id, person: SignedIn) -> Response:
    """Ask how long the token that follows another is to live."""
    with request.app.state.database.read() as session:
        return _renewal(request, session, token_id, person)


@router.post("/my/tokens/{token_id}/renew")
def renew(request: Request, token_id: Id, person: SignedIn, form: Posted) -> Response:
    """Make the token that follows another, and show it once."""
    state = request.app.state
    try:
        with state.database.write() as session:
            user = people.find(session, person.user.id)
            old = tokens.find(session, token_id, user)
            issued = tokens.renew(session, state.vault, user, old, _life(form))
            return page(request, "new_token.html", issued=issued, server=old.server, renewed=old)
    except Refused as refused:
        with state.database.read() as session:
            return _renewal(request, session, token_id, person, form=form, refused=refused)


@router.post("/my/tokens/{token_id}/revoke")
def revoke(request: Request, token_id: Id, person: SignedIn, form: Posted) -> Response:
    """End a token before its time."""
    with request.app.state.database.write() as session:
        token = tokens.find(session, token_id, people.find(session, person.user.id))
        back = f"/my/servers/{token.server_id}"
        if token.revoked is not None or token.expiry <= dt.datetime.now(dt.UTC):
            return then(request, back, f"The token '{token.name}' had ended already.", "note")
        tokens.revoke(session, person.user.username, token, "its holder ended it")
        weigh(
            form,
            f"Revoke the token '{token.name}'?",
            [
                f"Programs that use it are refused by {token.server.name}, as soon as it has fetched the new list.",
                f"It would have lived until {moment(token.expiry)}; it cannot be brought back.",
            ],
            "Revoke it",
            back,
        )
    return then(request, back, f"The token '{token.name}' is revoked.")


def _life(form: FormData) -> int | None:
    chosen = forms.text(form, "life")
    if not chosen:
        return None
    if chosen == "other":
        return forms.minutes(form, "lifetime")
    if not chosen.isascii() or not chosen.isdecimal():
        raise Refused("Choose how long the token is to live.", "life")
    return int(chosen[:9])


def _form(
    request: Request,
    session: Session,
    server_id: int,
    person: Person,
    *,
    form: FormData | None = None,
    refused: Refused | None = None,
) -> Response:
    server, roles = tokens.at(session, people.find(session, person.user.id), server_id)
    scopes = _scopes(session, roles)
    number = sum(map(len, scopes.values()))
    brief = (number > MOST_SCOPES) + (number > 10 * MOST_SCOPES)
    chosen = forms.numbers(form, "roles") if form is not None else frozenset(r.id for r in roles if len(roles) == 1)
    return page(
        request,
        "token_form.html",
        refused.status if refused else 200,
        server=server,
        roles=[_described(server, role, scopes[role.id], brief > 0) for role in roles],
        brief=brief,
        chosen=chosen,
        typed=forms.kept(form) if form is not None else {},
        refused=refused,
        **_ends(server, roles),
    )


def _scopes(session: Session, roles: Sequence[Role]) -> dict[int, list[str]]:
    """The names of the scopes that tokens of each role hold; rows, for objects of some thousands take too long."""
    granted = (
        sa.select(scopes_in_role.c.role_id, Scope.name)
        .join(Scope, Scope.id == scopes_in_role.c.scope_id)
        .where(scopes_in_role.c.role_id.in_([role.id for role in roles]), Scope.enabled)
        # The roles imply it; it spares PostgreSQL reading the scopes of all servers.
        .where(Scope.server_id.in_({role.server_id for role in roles}))
    )
    scopes: dict[int, list[str]] = {role.id: [] for role in roles}
    for role_id, name in session.execute(granted):
        scopes[role_id].append(name)
    return scopes


def _described(server: Server, role: Role, scopes: Sequence[str], brief: bool) -> dict[str, Any]:
    """A role as the form of a token shows it: what it lets one do, and until when at most."""
    end, whose = tokens.latest_end(server, [role], dt.datetime.now(dt.UTC))
    can = abilities(scopes, scopes)
    if brief:
        for unit in can.units:
            unit.kinds = {kind: [] for kind in unit.kinds}
    return {"id": role.id, "name": role.name, "can": can, "end": end, "whose": whose}


def _ends(server: Server, roles: Sequence[Role]) -> dict[str, Any]:
    now = dt.datetime.now(dt.UTC)
    end, whose = tokens.latest_end(server, roles, now)
    longest = max(longest_life(now, Limits.of(role)) for role in roles)
    lives = [(minutes, words) for minutes, words in LIVES if now + dt.timedelta(minutes=minutes) <= longest]
    return {"end": end, "whose": whose, "lives": lives, "now": now}


def _renewal(
    request: Request,
    session: Session,
    token_id: int,
    person: Person,
    *,
    form: FormData | None = None,
    refused: Refused | None = None,
) -> Response:
    user = people.find(session, person.user.id)
    token = tokens.find(session, token_id, user)
    role_ids = {role.id for role in tokens.roles_of(session, user, token.server)}
    lost = sorted(role.name for role in token.roles if role.id not in role_ids)
    return page(
        request,
        "renew.html",
        refused.status if refused else 200,
        token=token,
        lost=lost,
        typed=forms.kept(form) if form is not None else {},
        refused=refused,
        **(_ends(token.server, token.roles) if token.roles and not lost else {"end": None}),
    )
