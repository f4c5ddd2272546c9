"""Roles: scopes of one server that people hold together.

Tokens of a role that gives less than before are revoked, and their holders make new ones.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from flowauth.errors import NameTaken, NotThere, Refused
from flowauth.services import audit, tokens
from flowauth.services.limits import Limits
from flowauth.services.names import valid_name
from flowauth.tables import Role, Scope, Server, Token, User, scopes_in_role, tokens_with_roles, users_with_roles


@dataclass(frozen=True)
class Definition:
    """All that an administrator says of a role; scopes and members by their numbers."""

    name: str
    scopes: frozenset[int]
    users: frozenset[int]
    limits: Limits
    require_two_factor: bool = False


def create(session: Session, actor: str, server: Server, definition: Definition) -> Role:
    """Make a role on a server."""
    role = Role(server=server, name="", longest_token_life_minutes=1, latest_token_expiry=None)
    _apply(session, role, definition)
    session.add(role)
    session.flush()
    audit.record(session, actor, "role.create", _full_name(role), after=facts(role))
    return role


def find(session: Session, role_id: int) -> Role:
    """A role by its number."""
    role = session.get(Role, role_id)
    if role is None:
        raise NotThere("There is no such role.")
    return role


def named(session: Session, server: Server, name: str) -> Role | None:
    """A role of a server by its name."""
    return session.scalar(sa.select(Role).where(Role.server_id == server.id, Role.name == name))


def search(find: str = "", server_id: int | None = None) -> sa.Select[tuple[Role]]:
    """Roles by server and name: of one server, or with a text in their name or their server's."""
    select = sa.select(Role).join(Role.server).options(joinedload(Role.server)).order_by(Server.name, Role.name)
    if find:
        named = sa.or_(Role.name.icontains(find, autoescape=True), Server.name.icontains(find, autoescape=True))
        select = select.where(named)
    return select.where(Role.server_id == server_id) if server_id else select


def scope_counts(session: Session, roles: Sequence[Role]) -> dict[int, int]:
    """How many scopes each of some roles has; roles without any are left out."""
    return _counts(session, scopes_in_role, roles)


def member_counts(session: Session, roles: Sequence[Role]) -> dict[int, int]:
    """How many people hold each of some roles; roles that nobody holds are left out."""
    return _counts(session, users_with_roles, roles)


def scopes_of(session: Session, role_id: int) -> frozenset[int]:
    """The numbers of a role's scopes; objects of some thousands take too long."""
    numbers = sa.select(scopes_in_role.c.scope_id).where(scopes_in_role.c.role_id == role_id)
    return frozenset(session.scalars(numbers))


def members_of(session: Session, role_id: int) -> frozenset[int]:
    """The numbers of the people who hold a role."""
    numbers = sa.select(users_with_roles.c.user_id).where(users_with_roles.c.role_id == role_id)
    return frozenset(session.scalars(numbers))


def present(session: Session, role: Role) -> Definition:
    """What a role is now; `dataclasses.replace` makes of it what it becomes."""
    scopes, members = scopes_of(session, role.id), members_of(session, role.id)
    return Definition(role.name, scopes, members, Limits.of(role), role.require_two_factor)


def change(session: Session, actor: str, role: Role, definition: Definition) -> int:
    """Change a role to a definition; give the number of tokens that ended because it gives less than before."""
    before, scopes, members = facts(role), {s.id for s in role.scopes}, {u.id for u in role.users}
    name = _full_name(role)
    _apply(session, role, definition)
    audit.record(session, actor, "role.change", name, before=before, after=facts(role))
    ended = 0
    if scopes - definition.scopes:
        ended += _end(session, actor, role, f"the role '{role.name}' lost scopes")
    for gone in members - definition.users:
        ended += _end(session, actor, role, f"the role '{role.name}' was taken from its holder", user_id=gone)
    its_tokens = sa.select(tokens_with_roles.c.token_id).where(tokens_with_roles.c.role_id == role.id)
    return ended + tokens.end_beyond(
        session, actor, Token.id.in_(its_tokens), definition.limits, f"limits of the role '{role.name}'"
    )


def delete(session: Session, actor: str, role: Role) -> int:
    """Delete a role; give the number of tokens that ended with it."""
    ended = _end(session, actor, role, f"the role '{role.name}' was deleted")
    audit.record(session, actor, "role.delete", _full_name(role), before=facts(role))
    session.delete(role)
    return ended


def facts(role: Role) -> dict[str, Any]:
    """What the audit log says of a role."""
    return {
        "name": role.name,
        "scopes": sorted(scope.name for scope in role.scopes),
        "users": sorted(user.username for user in role.users),
        "latest_token_expiry": role.latest_token_expiry,
        "longest_token_life_minutes": role.longest_token_life_minutes,
        "require_two_factor": role.require_two_factor,
    }


def _counts(session: Session, table: sa.Table, roles: Sequence[Role]) -> dict[int, int]:
    number = sa.select(table.c.role_id, sa.func.count()).where(table.c.role_id.in_([role.id for role in roles]))
    return dict(session.execute(number.group_by(table.c.role_id)).tuples().all())


def _apply(session: Session, role: Role, definition: Definition) -> None:
    server = role.server
    name = valid_name(definition.name, "role")
    taken = sa.select(Role.id).where(Role.server_id == server.id, Role.name == name)
    with session.no_autoflush:
        if (other := session.scalar(taken)) is not None and other != role.id:
            raise NameTaken(f"The server '{server.name}' has a role '{name}' already; choose another name.", "name")
        Limits.of(server).hold(
            name, definition.limits.latest_token_expiry, definition.limits.longest_token_life_minutes
        )
        # A scope of another server, or one that is gone, must not slip in by its number.
        scopes = _all(
            session, sa.select(Scope).where(Scope.server_id == server.id), Scope.id, definition.scopes, "scopes"
        )
        users = _all(session, sa.select(User), User.id, definition.users, "users")
    role.name = name
    role.latest_token_expiry = definition.limits.latest_token_expiry
    role.longest_token_life_minutes = definition.limits.longest_token_life_minutes
    role.require_two_factor = definition.require_two_factor
    role.scopes, role.users = scopes, users


def _all(session: Session, select: Any, number: Any, requested_numbers: Iterable[int], field: str) -> list[Any]:
    numbers = set(requested_numbers)
    rows = list(session.scalars(select.where(number.in_(numbers))))
    if len(rows) < len(numbers):
        raise Refused(f"Some of the {field} that are named do not exist for this server; load the page again.", field)
    return rows


def _end(session: Session, actor: str, role: Role, because: str, user_id: int | None = None) -> int:
    its_tokens = sa.select(tokens_with_roles.c.token_id).where(tokens_with_roles.c.role_id == role.id)
    which = Token.id.in_(its_tokens) if user_id is None else sa.and_(Token.id.in_(its_tokens), Token.user_id == user_id)
    return tokens.end(session, actor, which, because, dt.datetime.now(dt.UTC))


def _full_name(role: Role) -> str:
    return f"{role.server.name}: {role.name}"
