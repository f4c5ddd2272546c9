"""Signing in with an OpenID Connect provider, and what of one's account has to do with it."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from flowauth import access
from flowauth.access import Posted, SignedIn
from flowauth.errors import NotAllowed, NotThere, Refused
from flowauth.pages.forms import secret
from flowauth.pages.render import page, then
from flowauth.pages.signing_in import go_on
from flowauth.services import people, provider, sign_in

router = APIRouter()
ONWARD = "flowauth_onward"
"""The cookie of the page to go on to after the way to the provider."""


@router.get(provider.PATH)
def visit_provider(request: Request) -> Response:
    """Send a browser to the provider to sign in, or take what the provider says of who came back from it."""
    if not provider.offered(request.app.state.settings):
        raise NotThere("This FlowAuth has no provider to sign in with.")
    return _come_back(request) if "state" in request.query_params else _go(request)


@router.post("/account/provider/link")
def link(request: Request, person: SignedIn, form: Posted) -> Response:
    """Lead somebody who is signed in to the provider, by their password, to be linked to who they are there."""
    access.confirm(request, person, secret(form, "link_password"), "link_password")
    return _lead(request, "link", person)


@router.post("/account/provider/confirm")
def confirm_at_provider(request: Request, person: SignedIn, form: Posted) -> Response:
    """Lead somebody who has no password to the provider, to confirm that it is them."""
    return _lead(request, "confirm", person)


@router.post("/account/provider/unlink")
def unlink(request: Request, person: SignedIn, form: Posted) -> Response:
    """Remove the link to the provider, by one's password."""
    access.confirm(request, person, secret(form, "link_password"), "link_password")
    with request.app.state.database.write() as session:
        user = people.find(session, person.user.id)
        provider.unlink(session, user.username, user, but=person.sign_in.id)
    return then(request, "/account", "Your account is linked to nobody at the provider.")


def _go(request: Request) -> Response:
    state = request.app.state
    journey = provider.go(state.settings, state.vault)
    response = RedirectResponse(journey.url, 303)
    access.set_cookie(response, state.settings, journey.kept, provider.KEPT_COOKIE, provider.KEPT_LIFE)
    onward = access.own_path(request.query_params.get("next"))
    access.set_cookie(response, state.settings, onward, ONWARD, provider.KEPT_LIFE)
    return response


def _come_back(request: Request) -> Response:
    settings, vault = request.app.state.settings, request.app.state.vault
    kept = request.cookies.get(access.cookie_name(settings, provider.KEPT_COOKIE))
    try:
        identity = provider.identify(settings, vault, kept, dict(request.query_params))
        response = _taken(request, identity)
    except Refused as refused:
        response = page(request, "provider_failed.html", refused.status, refused=refused)
    # Whatever comes of it, an answer counts once.
    access.forget_cookie(response, settings, provider.KEPT_COOKIE)
    access.forget_cookie(response, settings, ONWARD)
    return response


def _lead(request: Request, purpose: provider.Purpose, person: sign_in.Person) -> Response:
    """Show the way to the provider as a link: a form may not lead to another site, by the policy of the pages."""
    state = request.app.state
    journey = provider.go(state.settings, state.vault, purpose, person)
    response = page(request, "provider_way.html", url=journey.url, name=state.settings.flowauth_oidc_name)
    access.set_cookie(response, state.settings, journey.kept, provider.KEPT_COOKIE, provider.KEPT_LIFE)
    return response


def _taken(request: Request, identity: provider.Identity) -> Response:
    settings, database = request.app.state.settings, request.app.state.database
    if identity.purpose == "sign in":
        with database.write() as session:
            cookie, begun = provider.begin(session, settings, identity, access.address_of(request))
            # Who was signed in here before is so no more.
            sign_in.end(session, access.session_cookie(request))
        onward = access.own_path(request.cookies.get(access.cookie_name(settings, ONWARD)))
        return go_on(request, cookie, begun, onward)
    cookie = access.session_cookie(request)
    if not cookie:
        raise NotAllowed("You were signed out meanwhile; sign in, then start again.")
    person = access.of_cookie(request, cookie)
    with database.write() as session:
        if identity.purpose == "link":
            provider.link(session, person, identity)
        else:
            provider.confirm(session, person, identity)
        renewed = sign_in.rotate(session, person)
    access.keep_cookie(request, renewed)
    message = "Your account is linked." if identity.purpose == "link" else "You have confirmed that it is you."
    return then(request, "/account", message)
