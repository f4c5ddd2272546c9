"""One's own account: the password, two-factor, and where one is signed in."""

import sqlalchemy as sa
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from flowauth import access, audit, passwords, people, sign_in, two_factor
from flowauth.access import Posted, SignedIn
from flowauth.errors import Refused
from flowauth.pages import forms
from flowauth.pages.render import Unconfirmed, confirmation, page, then, weigh
from flowauth.sign_in import Person
from flowauth.tables import SignIn
from flowauth.throttle import address_of

router = APIRouter()


@router.get("/account")
def account(request: Request, person: SignedIn) -> Response:
    """Show somebody's account."""
    return _show(request, person)


@router.post("/account/password")
def change_password(request: Request, person: SignedIn, form: Posted) -> Response:
    """Change one's own password, by the present one; other places where one is signed in are signed out."""
    state = request.app.state
    wanted = forms.secret(form, "password")
    try:
        if wanted != forms.secret(form, "password_again"):
            raise Refused("The two new passwords are not the same.", "password_again")
        _confirm(request, person, forms.secret(form, "present_password"), "present_password")
        with state.database.write() as session:
            user = people.find(session, person.user.id)
            people.set_password(session, user.username, user, wanted)
            cookie, here = sign_in.rotate(session, person)
            people.sign_out_everywhere(session, user, but=here.id)
    except Refused as refused:
        return _show(request, person, refused)
    response = then(request, "/account", "Your password is changed; you are signed out everywhere else.")
    access.keep_cookie(response, state.settings, cookie)
    return response


@router.post("/account/judge-password")
def judge(request: Request, person: SignedIn, form: Posted) -> JSONResponse:
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
        _confirm(request, person, forms.secret(form, "off_password"), "off_password")
        with state.database.write() as session:
            user = people.find(session, person.user.id)
            two_factor.disable(session, state.vault, state.settings, user, forms.text(form, "off_code"))
    except Refused as refused:
        if refused.field not in ("off_password",):
            refused.field = "off_code"
        return _show(request, person, refused)
    return then(request, "/account", "Two-factor authentication is off.")


@router.post("/account/backup-codes")
def backup_codes(request: Request, person: SignedIn, form: Posted) -> Response:
    """Make new backup codes, which end the old ones, and show them once."""
    try:
        _confirm(request, person, forms.secret(form, "codes_password"), "codes_password")
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
    """Sign out everywhere but here, or at one place; by the password where it was given some time ago."""
    which = forms.text(form, "which")
    try:
        if forms.text(form, "confirmed") and not sign_in.is_fresh(person):
            _confirm(request, person, forms.secret(form, "your_password"), "your_password")
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
    except Unconfirmed as asked:
        return confirmation(request, form, asked)
    except Refused as refused:
        return _show(request, person, refused)
    return then(request, "/account", "It is signed out." if which else "You are signed in here alone.")


def _confirm(request: Request, person: Person, password: str, field: str) -> None:
    """Look at the password again, in a transaction of its own, so that a wrong one is counted."""
    state = request.app.state
    try:
        with state.database.write() as session:
            sign_in.confirm(session, state.settings, person, password, address_of(request, state.settings))
    except Refused as refused:
        refused.field = field
        raise


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
