"""Administration: people."""

import datetime as dt

import sqlalchemy as sa
from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.responses import Response

from flowauth import access
from flowauth.access import Administrator, Id, Posted
from flowauth.errors import Refused
from flowauth.pages import forms
from flowauth.pages.lists import listed, query_text
from flowauth.pages.render import counted, page, then, weigh
from flowauth.services import passwords, people, roles, tokens
from flowauth.services.sign_in import Person
from flowauth.tables import Role, TwoFactor, User, users_with_roles

router = APIRouter()
MOST_ROLES = 150
"""Roles that the form of a person offers at once; more are searched for."""


@router.get("/manage/users")
def users(request: Request, person: Administrator) -> Response:
    """List people, searched by name."""
    find = query_text(request)
    role_count = sa.select(sa.func.count()).where(users_with_roles.c.user_id == User.id).scalar_subquery()
    enabled = sa.select(TwoFactor.enabled).where(TwoFactor.user_id == User.id).scalar_subquery()
    select = sa.select(
        User.id, User.username, User.is_admin, User.require_two_factor, User.created, role_count, enabled
    )
    if find:
        select = select.where(User.username.icontains(find, autoescape=True))
    with request.app.state.database.read() as session:
        return page(request, "users.html", users=listed(session, request, select.order_by(User.username)), find=find)


@router.get("/manage/users/new")
def ask_for_user(request: Request, person: Administrator) -> Response:
    """Ask for a new person."""
    with request.app.state.database.read() as session:
        return _form(request, session, None)


@router.post("/manage/users/new")
def add_user(request: Request, person: Administrator, form: Posted) -> Response:
    """Add a person."""
    generated = passwords.generated() if forms.ticked(form, "generate") else None
    try:
        is_admin = forms.ticked(form, "is_admin")
        if is_admin:
            access.confirm(request, person, forms.secret(form, "your_password"), "your_password")
        with request.app.state.database.write() as session:
            user = people.create(
                session,
                person.user.username,
                forms.text(form, "username"),
                generated or forms.secret(form, "password"),
                generated=generated is not None,
                is_admin=is_admin,
                require_two_factor=forms.ticked(form, "require_two_factor"),
                roles=forms.numbers(form, "roles"),
            )
    except Refused as refused:
        with request.app.state.database.read() as session:
            return _form(request, session, None, form, refused)
    if generated is not None:
        return page(request, "first_password.html", user=user, password=generated, new=True)
    return then(request, f"/manage/users/{user.id}", f"The user '{user.username}' is there.")


@router.get("/manage/users/{user_id}")
def ask_about_user(request: Request, user_id: Id, person: Administrator) -> Response:
    """Show a person, to be changed."""
    with request.app.state.database.read() as session:
        return _form(request, session, people.find(session, user_id))


@router.post("/manage/users/{user_id}")
def change_user(request: Request, user_id: Id, person: Administrator, form: Posted) -> Response:
    """Change a person's rights and roles; what is not shown stays as it is."""
    database = request.app.state.database
    try:
        _confirm(request, person, form, user_id, promotes=forms.ticked(form, "is_admin"))
        with database.write() as session:
            user = people.find(session, user_id)
            role_ids = frozenset(role.id for role in user.roles)
            chosen = (role_ids - forms.listed(form, "shown")) | forms.numbers(form, "roles")
            lost = sorted(f"{role.server.name}: {role.name}" for role in user.roles if role.id not in chosen)
            losses = [f"'{user.username}' loses the role {name}." for name in lost]
            if user.is_admin and not forms.ticked(form, "is_admin"):
                losses.append(f"'{user.username}' can administer no more, and is signed out everywhere.")
            live = tokens.number_alive(session)
            people.change(
                session,
                person.user.username,
                user,
                is_admin=forms.ticked(form, "is_admin"),
                require_two_factor=forms.ticked(form, "require_two_factor"),
                roles=chosen,
            )
            weigh(
                form,
                f"Take rights from '{user.username}'?",
                losses + ended(live - tokens.number_alive(session)),
                "Save the changes",
                f"/manage/users/{user_id}",
            )
    except Refused as refused:
        with database.read() as session:
            return _form(request, session, people.find(session, user_id), form, refused)
    return then(request, f"/manage/users/{user_id}", f"'{user.username}' is changed.")


@router.post("/manage/users/{user_id}/password")
def set_password(request: Request, user_id: Id, person: Administrator, form: Posted) -> Response:
    """Give somebody another password, and sign them out everywhere; an administrator's, by one's own password."""
    database = request.app.state.database
    generated = passwords.generated() if forms.ticked(form, "generate") else None
    try:
        _confirm(request, person, form, user_id, opens=True)
        with database.write() as session:
            user = people.find(session, user_id)
            given = generated or forms.secret(form, "password")
            people.change(session, person.user.username, user, password=given, generated=generated is not None)
    except Refused as refused:
        with database.read() as session:
            return _form(request, session, people.find(session, user_id), None, refused)
    if generated is not None:
        return page(request, "first_password.html", user=user, password=generated, new=False)
    return then(request, f"/manage/users/{user_id}", f"'{user.username}' has the new password, and is signed out.")


@router.post("/manage/users/{user_id}/sign-out")
def sign_out(request: Request, user_id: Id, person: Administrator, form: Posted) -> Response:
    """Sign somebody out everywhere."""
    with request.app.state.database.write() as session:
        user = people.find(session, user_id)
        people.sign_out(session, person.user.username, user)
    return then(request, f"/manage/users/{user_id}", f"'{user.username}' is signed out everywhere.")


@router.post("/manage/users/{user_id}/reset-two-factor")
def reset_two_factor(request: Request, user_id: Id, person: Administrator, form: Posted) -> Response:
    """Remove somebody's second factor, as when the phone is lost; an administrator's, by one's own password."""
    try:
        if forms.text(form, "confirmed"):
            _confirm(request, person, form, user_id, opens=True)
        with request.app.state.database.write() as session:
            user = people.find(session, user_id)
            guarded = people.is_guarded(user, opens=True)
            losses = [
                f"The authenticator app and the backup codes of '{user.username}' work no more.",
                f"'{user.username}' is signed out everywhere, and sets two-factor up again.",
            ]
            people.change(session, person.user.username, user, reset_two_factor=True)
            title = f"Reset two-factor of '{user.username}'?"
            weigh(form, title, losses, "Reset two-factor", f"/manage/users/{user_id}", password=guarded)
    except Refused as refused:
        with request.app.state.database.read() as session:
            return _form(request, session, people.find(session, user_id), None, refused)
    return then(request, f"/manage/users/{user_id}", f"Two-factor of '{user.username}' is reset.")


@router.post("/manage/users/{user_id}/delete")
def delete_user(request: Request, user_id: Id, person: Administrator, form: Posted) -> Response:
    """Delete a person."""
    back = f"/manage/users/{user_id}"
    try:
        with request.app.state.database.write() as session:
            user = people.find(session, user_id)
            name, roles = user.username, len(user.roles)
            gone = people.delete(session, person.user.username, user)
            losses = [f"'{name}' can no longer sign in."]
            losses += [f"'{name}' loses {counted(roles, 'role')}."] if roles else []
            weigh(form, f"Delete the user '{name}'?", losses + ended(gone), f"Delete '{name}'", back)
    except Refused as refused:
        with request.app.state.database.read() as session:
            return _form(request, session, people.find(session, user_id), None, refused)
    return then(request, "/manage/users", f"The user '{name}' is deleted.")


def ended(number: int) -> list[str]:
    """Say how many tokens end; nothing if none does."""
    return [f"{counted(number, 'live token')} {'ends' if number == 1 else 'end'} at once."] if number else []


def _confirm(
    request: Request, person: Person, form: FormData, user_id: int, *, promotes: bool = False, opens: bool = False
) -> None:
    """Take one's own password for a change of somebody that needs it."""
    with request.app.state.database.read() as session:
        guarded = people.is_guarded(people.find(session, user_id), promotes=promotes, opens=opens)
    if guarded:
        access.confirm(request, person, forms.secret(form, "your_password"), "your_password")


def _form(
    request: Request,
    session: Session,
    user: User | None,
    form: FormData | None = None,
    refused: Refused | None = None,
) -> Response:
    find = query_text(request)
    role_ids = [role.id for role in user.roles] if user is not None else []
    ticked = forms.numbers(form, "roles") if form is not None else frozenset(role_ids)
    total = session.scalar(sa.select(sa.func.count()).select_from(Role)) or 0
    # What is ticked is offered first, then what is found, as far as there is room.
    kept = roles.search().where(Role.id.in_(ticked if find else {*role_ids, *ticked}))
    offered = {role.id: role for role in session.scalars(kept.limit(MOST_ROLES))}
    for role in session.scalars(roles.search(find).limit(MOST_ROLES)):
        if len(offered) < MOST_ROLES:
            offered[role.id] = role
    servers: dict[str, list[Role]] = {}
    for role in sorted(offered.values(), key=lambda each: (each.server.name, each.name)):
        servers.setdefault(role.server.name, []).append(role)
    everybody = request.app.state.settings.flowauth_require_two_factor
    return page(
        request,
        "user.html",
        refused.status if refused else 200,
        user=user,
        typed=forms.kept(form) if form is not None else None,
        servers=servers,
        ticked=ticked,
        shown=",".join(str(number) for number in offered),
        total=total,
        find=find,
        now=dt.datetime.now(dt.UTC),
        until_changed=people.UNTIL_CHANGED,
        two_factor=user is not None and people.has_two_factor(user),
        required=user is not None and people.needs_two_factor(user, everybody),
        refused=refused,
    )
