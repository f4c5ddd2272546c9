"""Roles: scopes of one server that people hold together.

A role that gives less reaches the tokens that were made with it: they are revoked, and made anew with what is left.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from flowauth.errors import NameTaken, NotThere, Refused
from flowauth.services import audit, tokens
from flowauth.services.limits import Limits
from flowauth.services.names import valid_name
from flowauth.tables import Role, Scope, Server, Token, User, tokens_with_roles


@dataclass(frozen=True)
class Wanted:
    """All that an administrator says of a role; scopes and members by their numbers."""

    name: str
    scopes: frozenset[int]
    users: frozenset[int]
    limits: Limits
    require_two_factor: bool = False


def create(session: Session, actor: str, server: Server, wanted: Wanted) -> Role:
    """Make a role on a server."""
    role = Role(server=server, name="", longest_token_life_minutes=1, latest_token_expiry=None)
    _apply(session, role, wanted)
    session.add(role)
    session.flush()
    audit.record(session, actor, "role.create", _full_name(role), after=told(role))
    return role


def find(session: Session, role_id: int) -> Role:
    """A role by its number."""
    role = session.get(Role, role_id)
    if role is None:
        raise NotThere("There is no such role.")
    return role


def change(session: Session, actor: str, role: Role, wanted: Wanted) -> int:
    """Make a role what is wanted; give the number of tokens that ended because it gives less than before."""
    before, scopes, members = told(role), {s.id for s in role.scopes}, {u.id for u in role.users}
    name = _full_name(role)
    _apply(session, role, wanted)
    audit.record(session, actor, "role.change", name, before=before, after=told(role))
    ended = 0
    if scopes - wanted.scopes:
        ended += _end(session, actor, role, f"the role '{role.name}' lost scopes")
    for gone in members - wanted.users:
        ended += _end(session, actor, role, f"the role '{role.name}' was taken from its holder", user_id=gone)
    held = sa.select(tokens_with_roles.c.token_id).where(tokens_with_roles.c.role_id == role.id)
    return ended + tokens.end_beyond(
        session, actor, Token.id.in_(held), wanted.limits, f"limits of the role '{role.name}'"
    )


def delete(session: Session, actor: str, role: Role) -> int:
    """Take a role away; give the number of tokens that ended with it."""
    ended = _end(session, actor, role, f"the role '{role.name}' was deleted")
    audit.record(session, actor, "role.delete", _full_name(role), before=told(role))
    session.delete(role)
    return ended


def told(role: Role) -> dict[str, Any]:
    """What the audit log says of a role."""
    return {
        "name": role.name,
        "scopes": sorted(scope.name for scope in role.scopes),
        "users": sorted(user.username for user in role.users),
        "latest_token_expiry": role.latest_token_expiry,
        "longest_token_life_minutes": role.longest_token_life_minutes,
        "require_two_factor": role.require_two_factor,
    }


def limits_of(role: Role) -> Limits:
    """The limits of a role."""
    return Limits(role.latest_token_expiry, role.longest_token_life_minutes)


def _apply(session: Session, role: Role, wanted: Wanted) -> None:
    server = role.server
    name = valid_name(wanted.name, "role")
    taken = sa.select(Role.id).where(Role.server_id == server.id, Role.name == name)
    with session.no_autoflush:
        if (other := session.scalar(taken)) is not None and other != role.id:
            raise NameTaken(f"The server '{server.name}' has a role '{name}' already; choose another name.", "name")
        Limits(server.latest_token_expiry, server.longest_token_life_minutes).hold(
            name, wanted.limits.latest_token_expiry, wanted.limits.longest_token_life_minutes
        )
        # A scope of another server, or one that is gone, must not slip in by its number.
        scopes = _all(session, sa.select(Scope).where(Scope.server_id == server.id), Scope.id, wanted.scopes, "scopes")
        users = _all(session, sa.select(User), User.id, wanted.users, "users")
    role.name = name
    role.latest_token_expiry = wanted.limits.latest_token_expiry
    role.longest_token_life_minutes = wanted.limits.longest_token_life_minutes
    role.require_two_factor = wanted.require_two_factor
    role.scopes, role.users = scopes, users


def _all(session: Session, select: Any, number: Any, wanted: Iterable[int], field: str) -> list[Any]:
    numbers = set(wanted)
    found = list(session.scalars(select.where(number.in_(numbers))))
    if len(found) < len(numbers):
        raise Refused(f"Some of the {field} that are named do not exist for this server; load the page anew.", field)
    return found


def _end(session: Session, actor: str, role: Role, because: str, user_id: int | None = None) -> int:
    held = sa.select(tokens_with_roles.c.token_id).where(tokens_with_roles.c.role_id == role.id)
    which = Token.id.in_(held) if user_id is None else sa.and_(Token.id.in_(held), Token.user_id == user_id)
    return tokens.end(session, actor, which, because, dt.datetime.now(dt.UTC))


def _full_name(role: Role) -> str:
    return f"{role.server.name}: {role.name}"
