"""Tokens: made for roles that a person holds on one server, shown once, renewed, revoked.

The form is FlowKit's (`flowkit_jwt_generator`), so that FlowKit's own FlowAPI takes them.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

import jwt
import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload, selectinload

from flowauth.errors import NotAllowed, NotThere, Refused
from flowauth.services import audit, keys
from flowauth.services.limits import Limits, longest_life
from flowauth.services.names import valid_name
from flowauth.tables import LONGEST_NAME, Role, Server, Token, User
from flowkit_jwt_generator.jwt import generate_token


@dataclass(frozen=True)
class Issued:
    """A new token: `text` is shown this once; `warning` says what shortened it, if anything did."""

    token: Token
    text: str
    warning: str | None


def alive(now: dt.datetime | None = None) -> sa.ColumnElement[bool]:
    """Whether a token counts: it has neither expired nor been revoked."""
    return sa.and_(Token.expiry > (now or dt.datetime.now(dt.UTC)), Token.revoked.is_(None))


def number_alive(session: Session) -> int:
    """How many tokens count at present."""
    session.flush()
    return session.scalar(sa.select(sa.func.count()).where(alive())) or 0


def search(
    find: str = "",
    *,
    server_id: int | None = None,
    user_id: int | None = None,
    which: sa.ColumnElement[bool] | None = None,
) -> sa.Select[tuple[Token]]:
    """Tokens of a server, of a person, with a text in their name or their holder's, or of that very `jti`."""
    select = sa.select(Token).options(joinedload(Token.user), joinedload(Token.server), selectinload(Token.roles))
    if find:
        named = sa.select(User.id).where(User.username.icontains(find, autoescape=True))
        texts = (Token.name.icontains(find, autoescape=True), Token.jti == find, Token.user_id.in_(named))
        select = select.where(sa.or_(*texts))
    if server_id:
        select = select.where(Token.server_id == server_id)
    if user_id:
        select = select.where(Token.user_id == user_id)
    return select if which is None else select.where(which)


def roles_of(session: Session, user: User, server: Server) -> Sequence[Role]:
    """The roles that a person holds on a server, by name."""
    select = sa.select(Role).join(Role.users).where(User.id == user.id, Role.server_id == server.id)
    # One statement for the scopes of all of them.
    select = select.options(selectinload(Role.scopes))
    return session.scalars(select.order_by(Role.name)).all()


def at(session: Session, user: User, server_id: int) -> tuple[Server, Sequence[Role]]:
    """A server by its number, and the roles that a person holds there; NotThere, in the same words, without any."""
    server = session.get(Server, server_id)
    roles = roles_of(session, user, server) if server is not None else []
    if server is None or not roles:
        raise NotThere("There is no such server for you; ask an administrator for a role on it.")
    return server, roles


def servers_of(session: Session, user: User) -> Sequence[Server]:
    """The servers on which a person holds a role, by name."""
    select = sa.select(Server).join(Server.roles).join(Role.users).where(User.id == user.id)
    return session.scalars(select.distinct().order_by(Server.name)).all()


def latest_end(server: Server, roles: Sequence[Role], now: dt.datetime) -> tuple[dt.datetime, str]:
    """The latest moment at which a token of these roles ends, and whose limit that is, in words."""
    bounds = [(longest_life(now, Limits.of(each)), each) for each in (server, *roles)]
    end, owner = min(bounds, key=lambda bound: bound[0])
    what = "server" if isinstance(owner, Server) else "role"
    return end, f"the limit of the {what} '{owner.name}'"


def issue(
    session: Session,
    vault: keys.Vault,
    user: User,
    server: Server,
    roles: Sequence[Role],
    *,
    name: str,
    lifetime_minutes: int | None = None,
) -> Issued:
    """Make a token for some of the roles that a person holds on a server.

    It lives as long as asked for, or else as long as the limits of the server and all its roles allow; if they
    allow less than was asked for, it lives as long as they do, and `warning` says so.
    """
    name = valid_name(name, "token")
    if not roles:
        raise Refused("Choose at least one role; a token without one can do nothing.", "roles")
    role_ids = {role.id for role in roles_of(session, user, server)}
    if strange := sorted(role.name for role in roles if role.id not in role_ids):
        raise NotAllowed(f"You do not hold {_listed(strange)} on the server '{server.name}'.", "roles")
    if lifetime_minutes is not None and (isinstance(lifetime_minutes, bool) or lifetime_minutes < 1):
        raise Refused("The life of a token is a number of minutes, at least 1.", "lifetime_minutes")
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    end, whose = latest_end(server, roles, now)
    if end <= now:
        raise Refused(
            f"No token can be made: {whose} was {end:%Y-%m-%d %H:%M} UTC. Ask an administrator to move it.", "roles"
        )
    warning = None
    if lifetime_minutes is not None:
        try:
            requested = now + dt.timedelta(minutes=lifetime_minutes)
        except OverflowError:
            raise Refused(
                "The life of a token is a number of minutes that fits the calendar.", "lifetime_minutes"
            ) from None
        if requested > end:
            warning = f"The token ends on {end:%Y-%m-%d %H:%M} UTC, sooner than you asked for: {whose} allows no more."
        end = min(requested, end)
    kid, private = keys.signing(session, vault)
    text = generate_token(
        flowapi_identifier=server.name,
        username=user.username,
        private_key=private,
        lifetime=end - dt.datetime.now(dt.UTC),
        roles={role.name: sorted(scope.name for scope in role.scopes if scope.enabled) for role in roles},
    )
    claims = jwt.decode(text, options={"verify_signature": False})
    token = Token(
        jti=claims["jti"],
        name=name,
        issued=now,
        expiry=dt.datetime.fromtimestamp(claims["exp"], dt.UTC),
        kid=kid,
        role_names=sorted(role.name for role in roles),
        user=user,
        server=server,
        roles=list(roles),
    )
    session.add(token)
    session.flush()
    facts = {"name": name, "server": server.name, "roles": sorted(r.name for r in roles), "expiry": token.expiry}
    audit.record(session, user.username, "token.create", token.jti, after=facts)
    return Issued(token, text, warning)


def renew(session: Session, vault: keys.Vault, user: User, token: Token, lifetime_minutes: int | None = None) -> Issued:
    """Make a token of the same name and roles; the old one lives on until its end, so that programs can change over."""
    if len(token.roles) < len(token.role_names):
        deleted = sorted(set(token.role_names) - {role.name for role in token.roles})
        raise NotAllowed(f"This token had {_listed(deleted)}, deleted since; make a new token.", "roles")
    role_ids = {role.id for role in roles_of(session, user, token.server)}
    if gone := sorted(role.name for role in token.roles if role.id not in role_ids):
        raise NotAllowed(f"You no longer hold {_listed(gone)} on '{token.server.name}'; make a new token.", "roles")
    new = issue(session, vault, user, token.server, token.roles, name=token.name, lifetime_minutes=lifetime_minutes)
    before, now = token.expiry - token.issued, new.token.expiry - new.token.issued
    if lifetime_minutes is None and before - now > dt.timedelta(minutes=1):
        _, whose = latest_end(token.server, token.roles, new.token.issued)
        sentence = (
            f"The token ends on {new.token.expiry:%Y-%m-%d %H:%M} UTC, sooner than the one before it would: {whose} "
        )
        return replace(new, warning=sentence + "allows no more.")
    return new


def note(  # noqa: PLR0917
    session: Session, actor: str, server: Server, name: str, text: str, kid: str
) -> Token:
    """List a token that was made on the machine itself, for nobody's roles, so that it can be revoked too."""
    claims = jwt.decode(text, options={"verify_signature": False})
    issued, expiry = (dt.datetime.fromtimestamp(claims[claim], dt.UTC) for claim in ("iat", "exp"))
    token = Token(
        jti=claims["jti"],
        name=name[:LONGEST_NAME],
        issued=issued,
        expiry=expiry,
        kid=kid,
        role_names=[],
        server=server,
    )
    session.add(token)
    session.flush()
    audit.record(session, actor, "token.create", token.jti, after={"name": token.name, "server": server.name})
    return token


def find(session: Session, token_id: int, owner: User | None) -> Token:
    """A token by its number; of an owner's, if one is given, so that nobody learns of another's."""
    token = session.get(Token, token_id)
    if token is None or (owner is not None and token.user_id != owner.id):
        raise NotThere("There is no such token.")
    return token


def numbered(session: Session, jti: str) -> Token | None:
    """A token by its `jti`."""
    return session.scalar(sa.select(Token).where(Token.jti == jti))


def state(token: Token) -> str:
    """What has become of a token, in a word or with the reason."""
    if token.revoked is not None:
        return f"revoked: {token.revoked_because}"
    return "lives" if token.expiry > dt.datetime.now(dt.UTC) else "expired"


def revoke(session: Session, actor: str, token: Token, because: str) -> None:
    """End a token before its time; FlowAPIs learn of it by the revocation list."""
    end(session, actor, Token.id == token.id, because, dt.datetime.now(dt.UTC))


def end(session: Session, actor: str, which: sa.ColumnElement[bool], because: str, now: dt.datetime) -> int:
    """Revoke the live ones of some tokens; give their number."""
    return _revoke(session, actor, _living(session, which, now), because, now)


def end_beyond(session: Session, actor: str, which: sa.ColumnElement[bool], limits: Limits, why: str) -> int:
    """Revoke those of some tokens that last longer than limits now allow; give their number."""
    now, second = dt.datetime.now(dt.UTC), dt.timedelta(seconds=1)
    living = _living(session, which, now)
    beyond = [token for token in living if token.expiry > longest_life(token.issued, limits) + second]
    return _revoke(session, actor, beyond, f"it lasted longer than the new {why} allow", now)


def _living(session: Session, which: sa.ColumnElement[bool], now: dt.datetime) -> Sequence[Token]:
    session.flush()
    return session.scalars(sa.select(Token).where(which, alive(now))).all()


def _revoke(session: Session, actor: str, living: Sequence[Token], because: str, now: dt.datetime) -> int:
    for token in living:
        token.revoked, token.revoked_because = now, because
        audit.record(session, actor, "token.revoke", token.jti, after={"name": token.name, "because": because})
    return len(living)


def _listed(names: Sequence[str]) -> str:
    return ("the roles " if len(names) > 1 else "the role ") + ", ".join(f"'{name}'" for name in names)
