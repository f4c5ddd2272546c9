"""Administration: which scopes of a server tokens may hold."""

from collections.abc import Sequence

import sqlalchemy as sa
from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.responses import Response

from flowauth.access import Administrator, Id, Posted
from flowauth.errors import Refused
from flowauth.pages import forms, scope_tree
from flowauth.pages.render import counted, page, then, weigh
from flowauth.pages.users import ended
from flowauth.services import servers
from flowauth.tables import Role, Scope, Server, scopes_in_role

router = APIRouter()
MOST_ROLES, MOST_NAMES = 20, 4
"""Roles that a confirmation names, and the scopes that it names of each."""


@router.get("/manage/servers/{server_id}/scopes")
def ask_for_scopes(request: Request, server_id: Id, person: Administrator) -> Response:
    """Show which scopes of a server are switched on."""
    with request.app.state.database.read() as session:
        return _form(request, session, servers.find(session, server_id))


@router.post("/manage/servers/{server_id}/scopes")
def switch_scopes(request: Request, server_id: Id, person: Administrator, form: Posted) -> Response:
    """Switch scopes on and off; those that the form does not show stay as they are."""
    database, back = request.app.state.database, f"/manage/servers/{server_id}/scopes"
    with database.read() as session:
        server = servers.find(session, server_id)
        scopes = servers.scopes_of(session, server)
        chosen = scope_tree.chosen(scopes, _enabled(scopes), form)
        if scope_tree.turned(form):
            return _form(request, session, server, chosen, form=form)
    try:
        with database.write() as session:
            server = servers.find(session, server_id)
            scopes = servers.scopes_of(session, server)
            before = _enabled(scopes)
            if forms.text(form, "version") != _version(scopes):
                raise Refused(
                    "The scopes have changed since you opened this page; open it again to see how they are now.",
                    "scopes",
                )
            off = before - chosen
            losses = _losses(session, off)
            gone = servers.enable(session, person.user.username, server, {s.id: s.id in chosen for s in scopes})
            title = f"Switch off {counted(len(off), 'scope')} of '{server.name}'?"
            weigh(form, title, losses + ended(gone), "Switch off", back)
    except Refused as refused:
        with database.read() as session:
            return _form(request, session, servers.find(session, server_id), refused=refused)
    parts = [(chosen - before, "on"), (off, "off")]
    done = [f"{counted(len(scopes), 'scope')} switched {way}" for scopes, way in parts if scopes]
    if not done:
        return then(request, back, "Nothing was changed.", "note")
    return then(request, back, f"{' and '.join(done)}.")


def _losses(session: Session, off: frozenset[int]) -> list[str]:
    """Which roles lose which scopes, role by role."""
    losing = (
        sa.select(Role.name, Scope.name)
        .join(scopes_in_role, scopes_in_role.c.role_id == Role.id)
        .join(Scope, Scope.id == scopes_in_role.c.scope_id)
        .where(Scope.id.in_(off))
        .order_by(Role.name, Scope.name)
    )
    lost: dict[str, list[str]] = {}
    for role, scope in session.execute(losing).tuples() if off else ():
        lost.setdefault(role, []).append(scope)
    losses = []
    for role, names in list(lost.items())[:MOST_ROLES]:
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        losses.append(f"The role '{role}' loses {', '.join(names[:MOST_NAMES])}{more}.")
    if len(lost) > MOST_ROLES:
        losses.append(f"{counted(len(lost) - MOST_ROLES, 'other role')} lose scopes as well.")
    return losses


def _holders(session: Session, server: Server) -> dict[int, str]:
    """In how many roles each scope is."""
    counts = (
        sa.select(scopes_in_role.c.scope_id, sa.func.count())
        .join(Scope, Scope.id == scopes_in_role.c.scope_id)
        .where(Scope.server_id == server.id)
        .group_by(scopes_in_role.c.scope_id)
    )
    return {
        scope: counted(number, "role").replace(" ", "\N{NO-BREAK SPACE}")
        for scope, number in session.execute(counts).tuples()
    }


def _enabled(scopes: Sequence[Scope]) -> frozenset[int]:
    return frozenset(scope.id for scope in scopes if scope.enabled)


def _version(scopes: Sequence[Scope]) -> str:
    """What differs when anybody has switched a scope, or another document was taken over."""
    return forms.fingerprint([(scope.id, scope.enabled) for scope in scopes])


def _form(
    request: Request,
    session: Session,
    server: Server,
    chosen: frozenset[int] | None = None,
    *,
    form: FormData | None = None,
    refused: Refused | None = None,
) -> Response:
    scopes = servers.scopes_of(session, server)
    before = _enabled(scopes)
    ticked = before if chosen is None else chosen
    shown = scope_tree.shown(request, scopes, ticked, {}, form)
    if shown["few"]:
        # Of more, what stands beside each would be a good part of the page.
        shown = scope_tree.shown(request, scopes, ticked, _holders(session, server), form)
    return page(
        request,
        "scopes.html",
        refused.status if refused else 200,
        server=server,
        **shown,
        # A button of a branch shows the page again; what it was opened with still counts.
        as_opened=forms.text(form, "version") if form is not None else _version(scopes),
        changed=chosen is not None and chosen != before,
        refused=refused,
    )
