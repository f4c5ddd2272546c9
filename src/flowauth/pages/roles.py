"""Administration: roles, their scopes as a tree, and who holds them."""

from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.responses import Response

from flowauth.access import Administrator, Id, Posted
from flowauth.errors import Refused
from flowauth.pages import forms, scope_tree
from flowauth.pages.abilities import abilities
from flowauth.pages.lists import listed, query_number, query_text
from flowauth.pages.render import counted, page, then, weigh
from flowauth.pages.users import ended
from flowauth.services import roles, servers
from flowauth.tables import Role, Server, User, users_with_roles

router = APIRouter()


@router.get("/manage/roles")
def all_roles(request: Request, person: Administrator) -> Response:
    """List the roles, of one server or of all."""
    find, server_id = query_text(request), query_number(request, "server", 0)
    with request.app.state.database.read() as session:
        listing = listed(session, request, roles.search(find, server_id))
        # Counted for the roles of this page alone: beside the roles, the counts would be made for all that are sorted.
        scopes, members = roles.scope_counts(session, listing.rows), roles.member_counts(session, listing.rows)
        rows = [(role, scopes.get(role.id, 0), members.get(role.id, 0)) for role in listing.rows]
        offered = servers.names(session)
        return page(
            request, "roles.html", roles=replace(listing, rows=rows), find=find, server_id=server_id, servers=offered
        )


@router.get("/manage/roles/new")
def ask_for_role(request: Request, person: Administrator) -> Response:
    """Ask for a new role of a server."""
    with request.app.state.database.read() as session:
        server = session.get(Server, query_number(request, "server", 0))
        if server is None:
            return page(request, "role_server.html", servers=servers.names(session))
        return _form(request, session, server, None, frozenset())


@router.post("/manage/roles/new")
def add_role(request: Request, person: Administrator, form: Posted) -> Response:
    """Make a role on a server; its members are chosen next."""
    server_id = query_number(request, "server", 0)
    with request.app.state.database.read() as session:
        server = servers.find(session, server_id)
        chosen = scope_tree.chosen(servers.scopes_of(session, server), frozenset(), form)
        if scope_tree.turned(form):
            return _form(request, session, server, None, chosen, form=form)
    try:
        limits = forms.limits(form)
        with request.app.state.database.write() as session:
            definition = roles.Definition(
                forms.text(form, "name"), chosen, frozenset(), limits, forms.ticked(form, "require_two_factor")
            )
            role = roles.create(session, person.user.username, servers.find(session, server_id), definition)
    except Refused as refused:
        with request.app.state.database.read() as session:
            return _form(request, session, servers.find(session, server_id), None, chosen, form=form, refused=refused)
    return then(request, f"/manage/roles/{role.id}/members", f"The role '{role.name}' is there; choose who holds it.")


@router.get("/manage/roles/{role_id}")
def one_role(request: Request, role_id: Id, person: Administrator) -> Response:
    """Show a role, to be changed."""
    with request.app.state.database.read() as session:
        role = roles.find(session, role_id)
        return _form(request, session, role.server, role, roles.scopes_of(session, role_id))


@router.post("/manage/roles/{role_id}")
def change_role(request: Request, role_id: Id, person: Administrator, form: Posted) -> Response:
    """Change a role's name, scopes and limits; scopes that the form does not show stay as they are."""
    database, back = request.app.state.database, f"/manage/roles/{role_id}"
    with database.read() as session:
        role = roles.find(session, role_id)
        scopes = servers.scopes_of(session, role.server)
        chosen = scope_tree.chosen(scopes, roles.scopes_of(session, role_id), form)
        if scope_tree.turned(form):
            return _form(request, session, role.server, role, chosen, form=form)
    try:
        limits = forms.limits(form)
        with database.write() as session:
            role, scopes_before = roles.find(session, role_id), roles.scopes_of(session, role_id)
            if forms.text(form, "version") != _version(role, scopes_before):
                raise Refused(
                    "Somebody else has changed this role since you opened it; open it again to see how it is now.",
                    "name",
                )
            members = roles.members_of(session, role_id)
            name = role.name
            definition = roles.Definition(
                forms.text(form, "name"), chosen, members, limits, forms.ticked(form, "require_two_factor")
            )
            gone = roles.change(session, person.user.username, role, definition)
            lost = len(scopes_before - chosen)
            losses = ended(gone)
            if lost and members:
                losses.insert(
                    0, f"{counted(len(members), 'member')} {_lose(len(members))} {counted(lost, 'scope')} of '{name}'."
                )
            weigh(form, f"Change the role '{name}'?", losses, "Save the changes", back)
    except Refused as refused:
        with database.read() as session:
            role = roles.find(session, role_id)
            return _form(request, session, role.server, role, chosen, form=form, refused=refused)
    return then(request, back, f"The role '{role.name}' is changed.")


@router.get("/manage/roles/{role_id}/members")
def members(request: Request, role_id: Id, person: Administrator) -> Response:
    """List people, ticked if they hold a role."""
    with request.app.state.database.read() as session:
        return _people(request, session, role_id)


@router.post("/manage/roles/{role_id}/members")
def change_members(request: Request, role_id: Id, person: Administrator, form: Posted) -> Response:
    """Give a role to people and take it from others, among those whom the form shows."""
    back = f"/manage/roles/{role_id}/members"
    try:
        with request.app.state.database.write() as session:
            role = roles.find(session, role_id)
            before = roles.members_of(session, role_id)
            after = (before - forms.listed(form, "shown")) | forms.numbers(form, "users")
            definition = replace(roles.present(session, role), users=after)
            gone = roles.change(session, person.user.username, role, definition)
            lost = session.scalars(sa.select(User.username).where(User.id.in_(before - after)).order_by(User.username))
            losses = [f"'{name}' loses the role '{role.name}' of {role.server.name}." for name in lost]
            weigh(form, f"Take the role '{role.name}' away?", losses + ended(gone), "Save who holds it", back)
    except Refused as refused:
        with request.app.state.database.read() as session:
            return _people(request, session, role_id, refused)
    return then(request, back, f"'{role.name}' is held by {counted(len(after), 'person')}.")


@router.post("/manage/roles/{role_id}/delete")
def delete_role(request: Request, role_id: Id, person: Administrator, form: Posted) -> Response:
    """Delete a role."""
    with request.app.state.database.write() as session:
        role = roles.find(session, role_id)
        name, members = role.name, len(roles.members_of(session, role_id))
        gone = roles.delete(session, person.user.username, role)
        losses = [f"The role '{name}' of {role.server.name} is gone, with what it allows."]
        losses += [f"{counted(members, 'member')} {_lose(members)} it."] if members else []
        title, back = f"Delete the role '{name}'?", f"/manage/roles/{role_id}"
        weigh(form, title, losses + ended(gone), f"Delete '{name}'", back)
    return then(request, "/manage/roles", f"The role '{name}' is deleted.")


def _version(role: Role, scopes: frozenset[int]) -> str:
    """What differs when anybody has changed a role."""
    facts = [
        role.name,
        role.latest_token_expiry,
        role.longest_token_life_minutes,
        role.require_two_factor,
        sorted(scopes),
    ]
    return forms.fingerprint(facts)


def _form(
    request: Request,
    session: Session,
    server: Server,
    role: Role | None,
    chosen: frozenset[int],
    *,
    form: FormData | None = None,
    refused: Refused | None = None,
) -> Response:
    scopes = servers.scopes_of(session, server)
    scopes_before = roles.scopes_of(session, role.id) if role is not None else frozenset()
    typed: dict[str, Any] | None = forms.kept(form) if form is not None else None
    off = {scope.id: "(switched off)" for scope in scopes if not scope.enabled}
    number = sa.select(sa.func.count()).where(users_with_roles.c.role_id == (role.id if role else 0))
    return page(
        request,
        "role.html",
        refused.status if refused else 200,
        server=server,
        role=role,
        **scope_tree.shown(request, scopes, chosen, off, form),
        # A form that is shown again is still about what it was opened with.
        as_opened=forms.text(form, "version")
        if form is not None
        else _version(role, scopes_before)
        if role is not None
        else "",
        can=abilities((s.name for s in scopes if s.id in chosen and s.enabled), (s.name for s in scopes if s.enabled)),
        members=session.scalar(number) or 0,
        changed=chosen != scopes_before,
        typed=typed,
        refused=refused,
    )


def _people(request: Request, session: Session, role_id: int, refused: Refused | None = None) -> Response:
    role, find = roles.find(session, role_id), query_text(request)
    everybody = request.query_params.get("who") == "everybody" or bool(find)
    members = roles.members_of(session, role_id)
    everybody = everybody or not members
    select: sa.Select[Any] = sa.select(User.id, User.username).order_by(User.username)
    if find:
        select = select.where(User.username.icontains(find, autoescape=True))
    if not everybody:
        select = select.join(users_with_roles, users_with_roles.c.user_id == User.id)
        select = select.where(users_with_roles.c.role_id == role_id)
    people = listed(session, request, select)
    return page(
        request,
        "members.html",
        refused.status if refused else 200,
        role=role,
        people=people,
        members=members,
        shown=",".join(str(row.id) for row in people.rows),
        everybody=everybody,
        find=find,
        refused=refused,
    )


def _lose(number: int) -> str:
    return "loses" if number == 1 else "lose"
