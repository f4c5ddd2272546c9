"""Setting up two-factor authentication."""

import io

import segno
from fastapi import APIRouter, Request
from starlette.responses import Response

from flowauth import access
from flowauth.access import MaySetUp, Posted
from flowauth.errors import Refused
from flowauth.pages.forms import secret, text, ticked
from flowauth.pages.render import page, then
from flowauth.services import people, sign_in, two_factor
from flowauth.services.sign_in import Person

router = APIRouter()


@router.get("/set-up-two-factor")
def propose(request: Request, person: MaySetUp) -> Response:
    """Propose a secret and backup codes; nothing is stored yet."""
    state = request.app.state
    if people.has_two_factor(person.user):
        return then(request, "/account", "Two-factor authentication is on already.", "note")
    return form_of(request, person, two_factor.propose(state.vault, state.settings, person.user))


@router.post("/set-up-two-factor")
def enable(request: Request, person: MaySetUp, form: Posted) -> Response:
    """Switch two-factor on with a first code."""
    state = request.app.state
    shown = two_factor.proposed(state.vault, state.settings, person.user, text(form, "signed"))
    try:
        if not ticked(form, "saved"):
            raise Refused("Keep your backup codes first, and say here that you have.", "saved")
        if not sign_in.is_fresh(person):
            access.confirm(request, person, secret(form, "your_password"), "your_password")
        with state.database.write() as session:
            user = people.find(session, person.user.id)
            two_factor.enable(session, state.vault, state.settings, user, shown.signed, text(form, "code"))
            cookie = sign_in.rotate(session, person)
    except Refused as refused:
        return form_of(request, person, shown, refused)
    access.keep_cookie(request, cookie)
    message = (
        "Your new device counts; the old one works no more." if shown.replaces else "Two-factor authentication is on."
    )
    return then(request, "/account", message)


def form_of(
    request: Request,
    person: Person,
    shown: two_factor.Proposal,
    refused: Refused | None = None,
) -> Response:
    """Show a proposed second factor."""
    return page(
        request,
        "set_up_two_factor.html",
        refused.status if refused else 200,
        shown=shown,
        typed=" ".join(shown.secret[at : at + 4] for at in range(0, len(shown.secret), 4)),
        picture=_picture(shown.provisioning_url),
        needed=person.set_up_needed,
        replaces=shown.replaces is not None,
        confirm=not sign_in.is_fresh(person),
        refused=refused,
    )


def _picture(url: str) -> str:
    """The address as a QR code: SVG that stands in the page."""
    drawn = io.BytesIO()
    title = "QR code for your authenticator app"
    code = segno.make(url, error="m", micro=False)
    code.save(drawn, kind="svg", xmldecl=False, scale=5, border=3, dark="#000", light="#fff", nl=False, title=title)
    return drawn.getvalue().decode()
