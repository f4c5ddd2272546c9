"""One's own account: the password, two-factor, and where one is signed in."""

import contextlib
from collections.abc import Iterator

import sqlalchemy as sa
from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.responses import JSONResponse, Response

from flowauth import access
from flowauth.access import MayChoose, Posted, SignedIn
from flowauth.errors import Refused, fields
from flowauth.pages import forms
from flowauth.pages import two_factor as set_up
from flowauth.pages.render import page, then, weigh
from flowauth.services import audit, passwords, people, sign_in, two_factor
from flowauth.services.sign_in import Person
from flowauth.tables import SignIn, User

router = APIRouter()


@router.get("/account")
def account(request: Request, person: SignedIn) -> Response:
    """Show somebody's account."""
    return _show(request, person)


@router.post("/account/password")
def change_password(request: Request, person: SignedIn, form: Posted) -> Response:
    """Change one's own password, by the present one; other places where one is signed in are signed out."""
    try:
        _change(request, person, form)
    except Refused as refused:
        return _show(request, person, refused)
    return then(request, "/account", "Your password is changed; you are signed out everywhere else.")


@router.get("/choose-password")
def ask_for_password(request: Request, person: MayChoose) -> Response:
    """Ask somebody whose password FlowAuth made for one of their own, before anything else."""
    if not person.choice_needed:
        return then(request, "/account")
    return page(request, "choose_password.html")


@router.post("/choose-password")
def choose_password(request: Request, person: MayChoose, form: Posted) -> Response:
    """Take the password that somebody chose, and let them go on."""
    try:
        _change(request, person, form)
    except Refused as refused:
        return page(request, "choose_password.html", refused.status, refused=refused)
    return then(request, "/my/servers", "Your password is set; the one that you were given works no more.")


@router.post("/account/judge-password")
def judge(request: Request, person: MayChoose, form: Posted) -> JSONResponse:
    """Judge a password while it is typed, as it will be judged when it is saved."""
    name = forms.text(form, "username") or person.user.username
    complaint = passwords.weakness(
        forms.secret(form, "password"), name, request.app.state.settings.flowauth_breached_passwords
    )
    return JSONResponse({"good": complaint is None, "message": complaint or "This password is good."})


@router.post("/account/two-factor/off")
def two_factor_off(request: Request, person: SignedIn, form: Posted) -> Response:
    """Switch two-factor off, by the password and a code."""
    state = request.app.state
    try:
        with _proved(request, person, form, "off") as (session, user, code):
            two_factor.disable(session, state.vault, state.settings, user, code)
    except Refused as refused:
        return _show(request, person, refused)
    return then(request, "/account", "Two-factor authentication is off.")


@router.post("/account/two-factor/change")
def change_device(request: Request, person: SignedIn, form: Posted) -> Response:
    """Propose another second factor, by the password and a code; the present one counts until that is confirmed."""
    state = request.app.state
    try:
        with _proved(request, person, form, "change") as (session, user, code):
            proposed = two_factor.propose_replacement(session, state.vault, state.settings, user, code)
    except Refused as refused:
        return _show(request, person, refused)
    return set_up.form_of(request, person, proposed)


@router.post("/account/backup-codes")
def backup_codes(request: Request, person: SignedIn, form: Posted) -> Response:
    """Make new backup codes, which end the old ones, and show them once."""
    try:
        access.confirm(request, person, forms.secret(form, "codes_password"), "codes_password")
        with request.app.state.database.write() as session:
            user = people.find(session, person.user.id)
            if not people.has_two_factor(user):
                raise Refused("Switch two-factor authentication on first.", "codes_password")
            codes = two_factor.new_backup_codes(session, user.username, user)
    except Refused as refused:
        return _show(request, person, refused)
    return page(request, "backup_codes.html", codes=codes)


@router.post("/account/sign-ins/end")
def end_sign_ins(request: Request, person: SignedIn, form: Posted) -> Response:
    """Sign out everywhere but here, or at one place; by the password if it was given some time ago."""
    which = forms.text(form, "which")
    try:
        if forms.text(form, "confirmed") and not sign_in.is_fresh(person):
            access.confirm(request, person, forms.secret(form, "your_password"), "your_password")
        with request.app.state.database.write() as session:
            user = people.find(session, person.user.id)
            others = [SignIn.user_id == user.id, SignIn.id != person.sign_in.id]
            if which:
                others.append(SignIn.id == which)
            number = session.scalar(sa.select(sa.func.count()).where(*others)) or 0
            session.execute(sa.delete(SignIn).where(*others))
            audit.record(session, user.username, "user.sign_out_elsewhere", user.username, after={"ended": number})
            whom = "The browser or program that is" if which else "Other browsers and programs that are"
            losses = [f"{whom} signed in as you must sign in again."] if number else []
            title = "Sign out there?" if which else "Sign out everywhere else?"
            weigh(form, title, losses, title.rstrip("?"), "/account", password=not sign_in.is_fresh(person))
    except Refused as refused:
        return _show(request, person, refused)
    return then(request, "/account", "It is signed out." if which else "You are signed in here alone.")


@contextlib.contextmanager
def _proved(request: Request, person: Person, form: FormData, way: str) -> Iterator[tuple[Session, User, str]]:
    """Take the password, and give what a code of the second factor is looked at with; each is refused at its field."""
    access.confirm(request, person, forms.secret(form, f"{way}_password"), f"{way}_password")
    with fields(f"{way}_code"), request.app.state.database.write() as session:
        yield session, people.find(session, person.user.id), forms.text(form, f"{way}_code")


def _change(request: Request, person: Person, form: FormData) -> None:
    """Change the password as a form says."""
    password = forms.secret(form, "password")
    if password != forms.secret(form, "password_again"):
        raise Refused("The two new passwords are not the same.", "password_again")
    access.confirm(request, person, forms.secret(form, "present_password"), "present_password")
    with request.app.state.database.write() as session:
        cookie = sign_in.change_password(session, person, password)
    access.keep_cookie(request, cookie)


def _show(request: Request, person: Person, refused: Refused | None = None) -> Response:
    with request.app.state.database.read() as session:
        user = people.find(session, person.user.id)
        settings = request.app.state.settings
        everybody = settings.flowauth_require_two_factor
        sign_ins = sign_in.living(session, settings, user)[:50]
        return page(
            request,
            "account.html",
            refused.status if refused else 200,
            user=user,
            two_factor=user.two_factor if people.has_two_factor(user) else None,
            backups=len(user.two_factor.backups) if user.two_factor else 0,
            required=people.needs_two_factor(user, everybody),
            sign_ins=sign_ins,
            here=person.sign_in.id,
            provider=settings.flowauth_oidc_name if settings.flowauth_oidc_issuer else None,
            refused=refused,
        )
