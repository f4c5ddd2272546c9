"""Users by script, for administrators."""

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Request
from pydantic import Field

from flowauth import access
from flowauth.access import Administrator, Id
from flowauth.api.documents import MOST_ROWS, After, Answer, Body, Ended, HttpDate, Name, Number, Secret, Whole
from flowauth.api.routes import FlowKitRoute
from flowauth.errors import Refused
from flowauth.services import passwords, people
from flowauth.tables import TwoFactor, User

flowkit = APIRouter(route_class=FlowKitRoute, tags=["users"])


class UserListed(Answer):
    """A person in the list."""

    id: int
    name: str
    is_admin: bool
    has_two_factor: bool
    require_two_factor: bool


class UserAnswer(UserListed):
    """A person, with the numbers of their roles."""

    roles: list[int]


class UserSaved(UserAnswer):
    """A person as saved, with the password if FlowAuth made it: no other answer holds it."""

    generated_password: str | None = None
    password_expires: HttpDate | None = None


class NewUser(Body):
    """A new person; without a password, one whom the OpenID Connect provider knows."""

    username: Name
    password: Secret | None = None
    generate_password: bool = False
    is_admin: bool = False
    require_two_factor: bool = False
    roles: list[Number] = Field([], max_length=MOST_ROWS)
    provider_issuer: Annotated[str, Field(max_length=512)] | None = None
    provider_subject: Annotated[str, Field(max_length=255)] | None = None
    your_password: Secret | None = None


class UserChange(Body):
    """What changes of a person; what is left out stays."""

    username: Name | None = None
    password: Secret | None = None
    generate_password: bool = False
    is_admin: bool | None = None
    has_two_factor: bool | None = None
    require_two_factor: bool | None = None
    roles: Annotated[list[Number], Field(max_length=MOST_ROWS)] | None = None
    your_password: Secret | None = None


@flowkit.get("/admin/users")
def all_users(request: Request, person: Administrator, limit: Whole = None, offset: After = 0) -> list[UserListed]:
    """List the people."""
    enabled = sa.func.coalesce(TwoFactor.enabled, sa.false()).label("has_two_factor")
    select = sa.select(User.id, User.username.label("name"), User.is_admin, enabled, User.require_two_factor)
    select = select.outerjoin(TwoFactor, TwoFactor.user_id == User.id).order_by(User.id)
    with request.app.state.database.read() as session:
        return [UserListed.model_validate(row) for row in session.execute(select.limit(limit).offset(offset))]


@flowkit.post("/admin/users", response_model_exclude_defaults=True)
def add_user(request: Request, person: Administrator, body: NewUser) -> UserSaved:
    """Add a person; for an administrator, one's own password is needed as `your_password`.

    With `generate_password` FlowAuth makes the password: only this answer holds it, it counts for 7 days, and is
    changed first.
    """
    password = _password(body)
    if password is None and body.provider_subject is None:
        raise Refused("A password is needed, or whom the provider knows.", "password")
    if body.is_admin:
        access.confirm(request, person, body.your_password, "your_password")
    with request.app.state.database.write() as session:
        user = people.create(
            session,
            person.user.username,
            body.username,
            password,
            generated=body.generate_password,
            is_admin=body.is_admin,
            require_two_factor=body.require_two_factor,
            roles=frozenset(body.roles),
            provider_issuer=body.provider_issuer,
            provider_subject=body.provider_subject,
        )
        return _saved(user, password if body.generate_password else None)


@flowkit.get("/admin/users/{user_id}")
def one_user(request: Request, user_id: Id, person: Administrator) -> UserAnswer:
    """Show a person."""
    with request.app.state.database.read() as session:
        return _user(people.find(session, user_id))


@flowkit.patch("/admin/users/{user_id}", response_model_exclude_defaults=True)
def change_user(request: Request, user_id: Id, person: Administrator, body: UserChange) -> UserSaved:
    """Change a person; `has_two_factor` false removes the second factor, as when the phone is lost.

    One's own password is needed as `your_password` to make an administrator, and to replace the password or remove the
    second factor of one, oneself included.
    """
    database, password, reset = request.app.state.database, _password(body), body.has_two_factor is False
    with database.read() as session:
        user = people.find(session, user_id)
        guarded = people.is_guarded(user, promotes=bool(body.is_admin), opens=password is not None or reset)
    if guarded:
        access.confirm(request, person, body.your_password, "your_password")
    with database.write() as session:
        user = people.find(session, user_id)
        if body.username not in (None, user.username):
            raise Refused("The name of a user stays; add another user instead.", "username")
        if body.has_two_factor and not people.has_two_factor(user):
            raise Refused("Only they themselves can set their second factor up; require it instead.", "has_two_factor")
        people.change(
            session,
            person.user.username,
            user,
            is_admin=body.is_admin,
            require_two_factor=body.require_two_factor,
            roles=None if body.roles is None else frozenset(body.roles),
            password=password,
            generated=body.generate_password,
            reset_two_factor=reset,
        )
        return _saved(user, password if body.generate_password else None)


@flowkit.delete("/admin/users/{user_id}")
def delete_user(request: Request, user_id: Id, person: Administrator) -> Ended:
    """Delete a person; their tokens end."""
    with request.app.state.database.write() as session:
        ended = people.delete(session, person.user.username, people.find(session, user_id))
    return Ended(deleted=True, tokens_ended=ended)


def _password(body: NewUser | UserChange) -> str | None:
    """The password that an administrator gives somebody, or lets FlowAuth make."""
    if body.generate_password and body.password is not None:
        raise Refused("Give a password, or let FlowAuth make one; not both.", "generate_password")
    return passwords.generated() if body.generate_password else body.password


def _user(user: User) -> UserAnswer:
    return UserAnswer(
        id=user.id,
        name=user.username,
        is_admin=user.is_admin,
        has_two_factor=people.has_two_factor(user),
        require_two_factor=user.require_two_factor,
        roles=sorted(role.id for role in user.roles),
    )


def _saved(user: User, generated: str | None) -> UserSaved:
    expires = user.password_expires if generated else None
    return UserSaved(**_user(user).model_dump(), generated_password=generated, password_expires=expires)
