"""Who holds which roles on which server, until when their tokens can live, and how many do."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from flowauth.services import tokens
from flowauth.tables import Role, Server, Token, User, users_with_roles


@dataclass
class Access:
    """A person on a server."""

    user_id: int
    username: str
    server_id: int
    server: str
    tokens_end_by: dt.datetime | None
    """Until when their tokens can live; None if no last day is set."""
    roles: list[str] = field(default_factory=list)
    live_tokens: int = 0
    last_live_token_ends: dt.datetime | None = None


def pairs(find: str, server_id: int) -> sa.Select[Any]:
    """Each person beside each server on which they hold a role; `access` says more of some of these rows."""
    # Pairs are compared by their numbers, which takes half the time of their names.
    roles = sa.select(users_with_roles.c.user_id, Role.server_id).join(Role, Role.id == users_with_roles.c.role_id)
    roles = (roles.where(Role.server_id == server_id) if server_id else roles).distinct().subquery()
    select = (
        sa.select(User.id.label("user_id"), User.username, Server.id.label("server_id"), Server.name.label("server"))
        .join(roles, roles.c.user_id == User.id)
        .join(Server, Server.id == roles.c.server_id)
        .order_by(User.username, Server.name)
    )
    return select.where(User.username.icontains(find, autoescape=True)) if find else select


def access(session: Session, rows: Sequence[Any]) -> list[Access]:
    """The roles and live tokens of each of some pairs, and until when tokens can live; two statements for all."""
    now = dt.datetime.now(dt.UTC)
    users = {row.user_id for row in rows}
    of = {(row.user_id, row.server_id): Access(*row, tokens_end_by=now) for row in rows}
    roles = (
        sa.select(
            users_with_roles.c.user_id,
            Role.server_id,
            Role.name,
            Role.latest_token_expiry,
            Server.latest_token_expiry.label("of_server"),
        )
        .join(Role, Role.id == users_with_roles.c.role_id)
        .join(Server, Server.id == Role.server_id)
        .where(users_with_roles.c.user_id.in_(users))
        .order_by(Role.name)
    )
    for row in session.execute(roles):
        if (pair := of.get((row.user_id, row.server_id))) is None:
            continue
        pair.roles.append(row.name)
        ends = [end for end in (row.latest_token_expiry, row.of_server) if end is not None]
        # A role without a last day lets tokens be made for ever.
        if pair.tokens_end_by is not None:
            pair.tokens_end_by = max(pair.tokens_end_by, min(ends)) if ends else None
    live = (
        sa.select(Token.user_id, Token.server_id, sa.func.count(), sa.func.max(Token.expiry))
        .where(Token.user_id.in_(users), tokens.alive(now))
        .group_by(Token.user_id, Token.server_id)
    )
    for user_id, server_id, number, until in session.execute(live):
        if (pair := of.get((user_id or 0, server_id))) is not None:
            pair.live_tokens, pair.last_live_token_ends = number, until
    return list(of.values())
