"""Roles by script, for administrators."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Self

import sqlalchemy as sa
from fastapi import APIRouter, Request
from pydantic import Field
from sqlalchemy.orm import Session

from flowauth.access import Administrator, Id
from flowauth.api.documents import After, Answer, Ended, Limited, Moment, Name, Number, Whole
from flowauth.api.routes import FlowKitRoute
from flowauth.errors import Refused
from flowauth.services import people, roles, servers
from flowauth.services.limits import Limits
from flowauth.services.servers import MOST_SCOPES
from flowauth.tables import Role, Scope, User, scopes_in_role, users_with_roles

flowkit = APIRouter(route_class=FlowKitRoute, tags=["roles"])
Scopes = Annotated[list[Number], Field(max_length=MOST_SCOPES)]
Users = Annotated[list[Number], Field(max_length=100_000)]


class RoleShort(Answer):
    """A role without its scopes and members."""

    id: int
    name: str
    server: int
    latest_token_expiry: Moment | None
    longest_token_life_minutes: int

    @classmethod
    def all(cls, session: Session, select: sa.Select[tuple[Role]]) -> list[Self]:
        """The roles that a statement selects."""
        return [cls(**_plain(role)) for role in session.scalars(select.order_by(Role.id))]


class RoleListed(RoleShort):
    """A role; its server, scopes and members by their numbers."""

    scopes: list[int]
    users: list[int]
    require_two_factor: bool


class NewRole(Limited):
    """A new role; limits that are left out are its server's."""

    name: Name
    server_id: Number
    scopes: Scopes = Field([])
    users: Users = Field([])
    require_two_factor: bool = False


class RoleChange(Limited):
    """What changes of a role; what is left out stays."""

    name: Name | None = None
    server_id: Number | None = None
    scopes: Scopes | None = None
    users: Users | None = None
    require_two_factor: bool | None = None


class Member(Answer):
    """Somebody who holds a role."""

    id: int
    name: str


class ScopeAnswer(Answer):
    """A scope of a server or a role."""

    id: int
    name: str
    enabled: bool


@flowkit.get("/roles/")
def all_roles(request: Request, person: Administrator, limit: Whole = None, offset: After = 0) -> list[RoleListed]:
    """List the roles."""
    with request.app.state.database.read() as session:
        return _roles(session, sa.select(Role).order_by(Role.id).limit(limit).offset(offset))


@flowkit.post("/roles/")
def add_role(request: Request, person: Administrator, body: NewRole) -> RoleListed:
    """Make a role on a server."""
    with request.app.state.database.write() as session:
        server = servers.find(session, body.server_id)
        definition = roles.Definition(
            body.name,
            frozenset(body.scopes),
            frozenset(body.users),
            body.limits(Limits.of(server)),
            body.require_two_factor,
        )
        return _one(session, roles.create(session, person.user.username, server, definition).id)


@flowkit.get("/roles/{role_id}")
def one_role(request: Request, role_id: Id, person: Administrator) -> RoleListed:
    """Show a role."""
    with request.app.state.database.read() as session:
        return _one(session, roles.find(session, role_id).id)


@flowkit.patch("/roles/{role_id}")
def change_role(request: Request, role_id: Id, person: Administrator, body: RoleChange) -> RoleListed:
    """Change a role; tokens of a role that gives less than before end."""
    with request.app.state.database.write() as session:
        role = roles.find(session, role_id)
        if body.server_id not in (None, role.server_id):
            raise Refused("A role stays on its server; make another role there.", "server_id")
        before = roles.present(session, role)
        sent = body.model_dump(include={"name", "scopes", "users", "require_two_factor"}, exclude_none=True)
        sent |= {name: frozenset(sent[name]) for name in ("scopes", "users") if name in sent}
        definition = replace(before, limits=body.limits(before.limits), **sent)
        roles.change(session, person.user.username, role, definition)
        session.flush()
        return _one(session, role_id)


@flowkit.delete("/roles/{role_id}")
def delete_role(request: Request, role_id: Id, person: Administrator) -> Ended:
    """Delete a role; tokens that were made with it end."""
    with request.app.state.database.write() as session:
        ended = roles.delete(session, person.user.username, roles.find(session, role_id))
    return Ended(deleted=True, tokens_ended=ended)


@flowkit.get("/roles/{role_id}/members")
def members(request: Request, role_id: Id, person: Administrator) -> list[Member]:
    """List who holds a role."""
    select = sa.select(User.id, User.username.label("name")).order_by(User.id)
    select = select.join(users_with_roles, users_with_roles.c.user_id == User.id)
    with request.app.state.database.read() as session:
        roles.find(session, role_id)
        rows = session.execute(select.where(users_with_roles.c.role_id == role_id))
        return [Member.model_validate(row) for row in rows]


@flowkit.get("/roles/{role_id}/scopes")
def scopes_of_role(request: Request, role_id: Id, person: Administrator) -> list[ScopeAnswer]:
    """List what a role lets tokens do."""
    select = sa.select(Scope.id, Scope.name, Scope.enabled).order_by(Scope.name)
    select = select.join(scopes_in_role, scopes_in_role.c.scope_id == Scope.id)
    with request.app.state.database.read() as session:
        roles.find(session, role_id)
        rows = session.execute(select.where(scopes_in_role.c.role_id == role_id))
        return [ScopeAnswer.model_validate(row) for row in rows]


@flowkit.get("/roles/user/{user_id}")
def roles_of_user(request: Request, user_id: Id, person: Administrator) -> list[RoleShort]:
    """List the roles that somebody holds."""
    with request.app.state.database.read() as session:
        people.find(session, user_id)
        return RoleShort.all(session, sa.select(Role).join(Role.users).where(User.id == user_id))


@flowkit.get("/roles/server/{server_id}/user/{user_id}")
def roles_of_user_on_server(request: Request, server_id: Id, user_id: Id, person: Administrator) -> list[RoleShort]:
    """List the roles that somebody holds on a server."""
    with request.app.state.database.read() as session:
        user, server = people.find(session, user_id), servers.find(session, server_id)
        select = sa.select(Role).join(Role.users).where(User.id == user.id, Role.server_id == server.id)
        return RoleShort.all(session, select)


def _one(session: Session, role_id: int) -> RoleListed:
    return _roles(session, sa.select(Role).where(Role.id == role_id))[0]


def _roles(session: Session, select: sa.Select[tuple[Role]]) -> list[RoleListed]:
    """Roles with the numbers of their scopes and members: three statements for all of them."""
    listed = session.scalars(select).all()
    scopes = _numbers(session, scopes_in_role.c.role_id, scopes_in_role.c.scope_id, listed)
    users = _numbers(session, users_with_roles.c.role_id, users_with_roles.c.user_id, listed)
    return [
        RoleListed(
            **_plain(role),
            scopes=scopes.get(role.id, []),
            users=users.get(role.id, []),
            require_two_factor=role.require_two_factor,
        )
        for role in listed
    ]


def _plain(role: Role) -> dict[str, Any]:
    return {
        "id": role.id,
        "name": role.name,
        "server": role.server_id,
        "latest_token_expiry": role.latest_token_expiry,
        "longest_token_life_minutes": role.longest_token_life_minutes,
    }


def _numbers(
    session: Session, of: sa.Column[Any], number: sa.Column[Any], listed: Sequence[Role]
) -> dict[int, list[int]]:
    numbers: dict[int, list[int]] = {}
    select = sa.select(of, number).where(of.in_([role.id for role in listed])).order_by(of, number)
    for owner, each in session.execute(select):
        numbers.setdefault(owner, []).append(each)
    return numbers
