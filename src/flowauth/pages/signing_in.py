"""Signing in and out."""

from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from flowauth import access
from flowauth.access import Posted
from flowauth.errors import NotSignedIn, Refused
from flowauth.pages.forms import secret, text
from flowauth.pages.render import page, then
from flowauth.services import sign_in
from flowauth.tables import SignIn

router = APIRouter()


@router.get("/")
def first_page(request: Request) -> Response:
    """Lead to one's servers, which leads to signing in if nobody is."""
    return then(request, "/my/servers")


@router.get("/sign-in")
def ask(request: Request) -> Response:
    """Ask who it is; lead on who is signed in already."""
    onward = access.own_path(request.query_params.get("next"))
    if _person(request, complete=True):
        return then(request, onward)
    return _form(request, onward)


@router.post("/sign-in")
def enter(request: Request, form: Posted) -> Response:
    """Sign in with a name and a password."""
    settings = request.app.state.settings
    onward = access.own_path(text(form, "next"))
    try:
        with request.app.state.database.write() as session:
            name, password, address = text(form, "username"), secret(form, "password"), access.address_of(request)
            device = access.device_cookie(request)
            cookie, begun = sign_in.begin(session, settings, name, password, address, device=device)
            # Who was signed in here before is so no more.
            sign_in.end(session, access.session_cookie(request))
    except Refused as refused:
        return _form(request, onward, refused, text(form, "username"))
    return go_on(request, cookie, begun, onward)


@router.get("/sign-in/code")
def ask_code(request: Request) -> Response:
    """Ask for the second factor."""
    onward = access.own_path(request.query_params.get("next"))
    if _person(request, complete=True):
        return then(request, onward)
    if not _person(request, complete=False):
        return then(request, "/sign-in", "Sign in with your name and password first.", "note")
    return page(request, "code.html", onward=onward)


@router.post("/sign-in/code")
def enter_code(request: Request, form: Posted) -> Response:
    """Give a code of the authenticator app, or a backup code."""
    state = request.app.state
    onward = access.own_path(text(form, "next"))
    person = _person(request, complete=False)
    if person is None:
        return then(request, "/sign-in", "Too long has passed; sign in again.", "note")
    try:
        with state.database.write() as session:
            cookie, begun = sign_in.give_code(
                session,
                state.vault,
                state.settings,
                person.sign_in,
                text(form, "code"),
                access.address_of(request),
                device=access.device_cookie(request),
            )
    except Refused as refused:
        return page(request, "code.html", refused.status, onward=onward, refused=refused)
    return go_on(request, cookie, begun, onward)


@router.post("/sign-out")
def leave(request: Request, form: Posted) -> Response:
    """Sign out here."""
    with request.app.state.database.write() as session:
        sign_in.end(session, access.session_cookie(request))
    response = then(request, "/sign-in", "You are signed out.")
    access.drop_cookie(response, request.app.state.settings)
    # What the browser keeps of the pages goes with the session.
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


def _form(request: Request, onward: str, refused: Refused | None = None, username: str = "") -> Response:
    settings = request.app.state.settings
    return page(
        request,
        "sign_in.html",
        refused.status if refused else 200,
        onward=onward,
        username=username,
        provider=settings.flowauth_oidc_name if settings.flowauth_oidc_issuer else None,
        refused=refused,
    )


def go_on(request: Request, cookie: str, begun: SignIn, onward: str) -> Response:
    """Give the cookie of a sign-in that has begun, and go on: to the code, if one is needed."""
    settings = request.app.state.settings
    response = then(request, onward if begun.complete else f"/sign-in/code?{urlencode({'next': onward})}")
    access.keep_cookie(request, cookie)
    if begun.complete:
        access.remember_device(response, settings, begun.user, access.device_cookie(request))
    return response


def _person(request: Request, complete: bool) -> sign_in.Person | None:
    cookie = access.session_cookie(request)
    try:
        return access.of_cookie(request, cookie, complete) if cookie else None
    except NotSignedIn:
        return None
