"""People: who may sign in, who administers, what roles they hold."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload, selectinload

from flowauth.errors import NameTaken, NotThere, Refused
from flowauth.services import audit, passwords, tokens
from flowauth.services.names import valid_name
from flowauth.tables import Role, SignIn, Token, User

LONGEST_ISSUER = 512
LONGEST_SUBJECT = 255
FIRST_PASSWORD_LIFE = dt.timedelta(days=7)
"""How long a password counts that FlowAuth made, unless it is changed before."""
UNTIL_CHANGED = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)
"""The end of the first administrator's first password, which has none but being changed."""


def create(
    session: Session,
    actor: str,
    username: str,
    password: str | None,
    *,
    is_admin: bool = False,
    require_two_factor: bool = False,
    roles: frozenset[int] = frozenset(),
    provider_issuer: str | None = None,
    provider_subject: str | None = None,
    generated: bool = False,
) -> User:
    """Add a person; without a password, one who signs in with the OpenID Connect provider alone.

    `generated` says that FlowAuth made the password: it counts for 7 days, and is changed at the first sign-in.
    """
    username = valid_name(username, "user")
    if (provider_issuer is None) != (provider_subject is None):
        raise Refused("Whom the provider knows is given by the provider's address and the person's number there.")
    if provider_issuer is not None and provider_subject is not None:
        provider_issuer, provider_subject = linkable(session, provider_issuer, provider_subject)
    if session.scalar(sa.select(User.id).where(sa.func.lower(User.username) == username.lower())) is not None:
        raise NameTaken(f"There is a user '{username}' already; choose another name.", "username")
    user = User(
        username=username,
        password=passwords.hashed(password, username, session.info.get("breached")) if password is not None else None,
        password_expires=_first_end() if generated else None,
        is_admin=is_admin,
        require_two_factor=require_two_factor,
        provider_issuer=provider_issuer,
        provider_subject=provider_subject,
        created=dt.datetime.now(dt.UTC),
        roles=_roles(session, roles),
    )
    session.add(user)
    session.flush()
    audit.record(session, actor, "user.create", username, after=facts(user))
    return user


def first_administrator(session: Session, username: str, password: str, *, generated: bool = False) -> User | None:
    """Make the first administrator if there is no administrator at all; else None, and nothing changes.

    `generated` says that nobody chose the password: it is changed at the first sign-in, however late that is, for
    there may be nobody else to make another one.
    """
    if session.scalar(sa.select(User.id).where(User.is_admin).limit(1)) is not None:
        return None
    user = create(session, audit.SYSTEM, username, password, is_admin=True, generated=generated)
    if generated:
        user.password_expires = UNTIL_CHANGED
    return user


def find(session: Session, user_id: int) -> User:
    """A person by number."""
    user = session.get(User, user_id)
    if user is None:
        raise NotThere("There is no such user.")
    return user


def named(session: Session, username: str) -> User | None:
    """A person by name."""
    return session.scalar(sa.select(User).where(User.username == username))


def everybody(session: Session) -> Sequence[User]:
    """All people by name, with their roles and second factors."""
    loaded = (joinedload(User.two_factor), selectinload(User.roles).joinedload(Role.server))
    return session.scalars(sa.select(User).options(*loaded).order_by(User.username)).all()


def change(
    session: Session,
    actor: str,
    user: User,
    *,
    is_admin: bool | None = None,
    require_two_factor: bool | None = None,
    roles: frozenset[int] | None = None,
    password: str | None = None,
    generated: bool = False,
    reset_two_factor: bool = False,
) -> None:
    """Change what is given of a person; a new password or less than before signs them out."""
    before = facts(user)
    if is_admin is False and user.is_admin:
        _not_the_last(session, user)
    role_ids = {role.id for role in user.roles}
    user.is_admin = user.is_admin if is_admin is None else is_admin
    user.require_two_factor = user.require_two_factor if require_two_factor is None else require_two_factor
    if roles is not None:
        user.roles = _roles(session, roles)
        for role_id in role_ids - roles:
            lost = session.get_one(Role, role_id)
            which = sa.and_(Token.user_id == user.id, Token.roles.any(Role.id == role_id))
            because = f"the role '{lost.name}' was taken from its holder"
            tokens.end(session, actor, which, because, dt.datetime.now(dt.UTC))
    if reset_two_factor and actor == user.username:
        # It would go round the code of the second factor.
        raise Refused(
            "Your own second factor is changed or switched off by your password and a code of it; see your account.",
            "has_two_factor",
        )
    reset = reset_two_factor and user.two_factor is not None
    if reset:
        session.delete(user.two_factor)
        user.two_factor = None
        audit.record(session, actor, "two_factor.reset", user.username, after={})
    audit.record(session, actor, "user.change", user.username, before=before, after=facts(user))
    if password is not None:
        set_password(session, actor, user, password, generated=generated)
    if password is not None or reset or is_admin is False:
        sign_out_everywhere(session, user)


def is_guarded(user: User, *, promotes: bool = False, opens: bool = False) -> bool:
    """Whether an administrator must give their own password first: to make another one, or to open the account of one.

    `opens` is what lets somebody in: another password, or the end of the second factor.
    """
    return opens if user.is_admin else promotes


def sign_out(session: Session, actor: str, user: User) -> None:
    """Sign a person out everywhere, as an administrator."""
    sign_out_everywhere(session, user)
    audit.record(session, actor, "user.sign_out_everywhere", user.username, after={})


def set_password(session: Session, actor: str, user: User, password: str, *, generated: bool = False) -> None:
    """Give a person a new password; one that FlowAuth made counts for 7 days, and is changed at the first sign-in."""
    user.password = passwords.hashed(password, user.username, session.info.get("breached"))
    user.password_expires = _first_end() if generated else None
    after = {"expires": user.password_expires} if generated else {}
    audit.record(session, actor, "user.password", user.username, after=after)


def delete(session: Session, actor: str, user: User) -> int:
    """Delete a person; give the number of live tokens that end with them."""
    if user.is_admin:
        _not_the_last(session, user)
    because = "its holder was deleted"
    ended = tokens.end(session, actor, Token.user_id == user.id, because, dt.datetime.now(dt.UTC))
    audit.record(session, actor, "user.delete", user.username, before=facts(user))
    session.delete(user)
    return ended


def sign_out_everywhere(session: Session, user: User, but: str | None = None) -> None:
    """End every sign-in of a person, but for one."""
    session.execute(sa.delete(SignIn).where(SignIn.user_id == user.id, SignIn.id != (but or "")))


def linkable(session: Session, issuer: str, subject: str) -> tuple[str, str]:
    """An account at an OpenID Connect provider to which nobody is linked yet, as it is stored."""
    issuer, subject = issuer.strip(), subject.strip()
    for text, longest, name in (
        (issuer, LONGEST_ISSUER, "provider_issuer"),
        (subject, LONGEST_SUBJECT, "provider_subject"),
    ):
        if not 0 < len(text) <= longest or not text.isprintable():
            what = "The address of the provider" if name == "provider_issuer" else "The number at the provider"
            raise Refused(f"{what} is a text of 1 to {longest} printable characters.", name)
    if linked(session, issuer, subject) is not None:
        raise Refused("Another user is linked to this account of the provider already.", "provider_subject")
    return issuer, subject


def linked(session: Session, issuer: str, subject: str) -> User | None:
    """Who is linked to an account at an OpenID Connect provider."""
    return session.scalar(sa.select(User).where(User.provider_issuer == issuer, User.provider_subject == subject))


def has_two_factor(user: User) -> bool:
    """Whether a person has set up a second factor."""
    return user.two_factor is not None and user.two_factor.enabled


def needs_two_factor(user: User, everybody: bool = False) -> bool:
    """Whether a person must have a second factor: by themselves, by a role that they hold, or as everybody must."""
    return everybody or user.require_two_factor or any(role.require_two_factor for role in user.roles)


def facts(user: User) -> dict[str, Any]:
    """What the audit log says of a person."""
    return {
        "is_admin": user.is_admin,
        "require_two_factor": user.require_two_factor,
        "roles": sorted(f"{role.server.name}: {role.name}" for role in user.roles),
    }


def _first_end() -> dt.datetime:
    return dt.datetime.now(dt.UTC) + FIRST_PASSWORD_LIFE


def _not_the_last(session: Session, user: User) -> None:
    others = sa.select(sa.func.count()).where(User.is_admin, User.id != user.id)
    if session.scalar(others) == 0:
        raise Refused(
            f"'{user.username}' is the only administrator; make another one first.",
            "is_admin",
        )


def _roles(session: Session, numbers: frozenset[int]) -> list[Role]:
    roles = list(session.scalars(sa.select(Role).where(Role.id.in_(numbers))))
    if len(roles) < len(numbers):
        raise Refused("Some of the roles that are named do not exist; load the page again.", "roles")
    return roles
