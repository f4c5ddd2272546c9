"""Signing in and out by script."""

from importlib.metadata import version as version_of
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from flowauth import access
from flowauth.access import SignedInAtLeast
from flowauth.api.documents import Answer, Body, Code, Secret
from flowauth.api.routes import FlowKitRoute
from flowauth.errors import NotAllowed, fields
from flowauth.services import sign_in
from flowauth.services.sign_in import Person

flowkit = APIRouter(route_class=FlowKitRoute, tags=["sign-in"])


class Credentials(Body):
    """Who signs in."""

    username: Annotated[str, Field(max_length=1000)]
    password: Secret
    two_factor_code: Code | None = None


class Flags(Answer):
    """Whether somebody is signed in, and as what."""

    logged_in: bool
    is_admin: bool
    require_two_factor_setup: bool
    require_password_change: Annotated[bool, Field(description="Present only if it is so.")] = False


class SignedOut(Answer):
    """Nobody is signed in any more."""

    logged_in: bool


class Version(Answer):
    """Which FlowAuth this is."""

    version: str


@flowkit.post("/signin", response_model=Flags)
def enter(request: Request, body: Credentials) -> Response:
    """Sign in; 400 with `need_two_factor` if a code of the second factor is needed as well."""
    state, device, address = request.app.state, access.device_cookie(request), access.address_of(request)
    with state.database.write() as session:
        cookie, begun = sign_in.begin(session, state.settings, body.username, body.password, address, device=device)
        if not begun.complete and not body.two_factor_code:
            sign_in.end(session, cookie)
            need = {"message": "The code of your authenticator app is needed.", "code": 400, "need_two_factor": True}
            return JSONResponse(need | {"bad_field": "two_factor_code"}, status_code=400)
        if not begun.complete:
            with fields("two_factor_code"):
                cookie, begun = sign_in.give_code(
                    session, state.vault, state.settings, begun, body.two_factor_code or "", address, device=device
                )
        # A sign-in of this browser before ends.
        sign_in.end(session, access.session_cookie(request))
        person = sign_in.who(session, state.settings, cookie)
        response = JSONResponse(_flags(person).model_dump(exclude_defaults=True))
        access.remember_device(response, state.settings, person.user, device)
    access.keep_cookie(request, cookie)
    return response


@flowkit.get("/is_signed_in", response_model_exclude_defaults=True)
def is_signed_in(person: SignedInAtLeast) -> Flags:
    """Tell who is signed in."""
    return _flags(person)


@flowkit.get("/signout", response_model=SignedOut)
def leave(request: Request, person: SignedInAtLeast) -> Response:
    """Sign out."""
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise NotAllowed("Another site sent this; open FlowAuth itself and try again.")
    with request.app.state.database.write() as session:
        sign_in.end(session, access.session_cookie(request))
    response = JSONResponse({"logged_in": False})
    access.drop_cookie(response, request.app.state.settings)
    return response


@flowkit.get("/version")
def version() -> Version:
    """Tell which FlowAuth this is."""
    return Version(version=version_of("flowkit"))


def _flags(person: Person) -> Flags:
    return Flags(
        logged_in=True,
        is_admin=person.user.is_admin,
        require_two_factor_setup=person.set_up_needed,
        require_password_change=person.choice_needed,
    )
