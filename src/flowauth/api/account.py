"""One's own account by script: the password, and the second factor."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field

from flowauth import access
from flowauth.access import MayChoose, MaySetUp, SignedIn, SignedInAtLeast
from flowauth.api.documents import Answer, Body, Code, Secret, Signed
from flowauth.api.routes import FlowKitRoute
from flowauth.errors import Refused, fields
from flowauth.services import people, sign_in, two_factor

flowkit = APIRouter(route_class=FlowKitRoute, tags=["account"])


class Done(Answer):
    """It is done."""


class Passwords(Body):
    """The present password, and the one that it becomes."""

    password: Secret
    newPassword: Secret  # noqa: N815 - FlowKit's name


class Proposed(Answer):
    """A second factor that is not stored yet."""

    provisioning_url: str
    secret: str
    issuer: str
    backup_codes: list[str]
    backup_codes_signature: str


class Confirmed(Body):
    """What proves that the authenticator app has the secret.

    `present_code` if a second factor is replaced; `password` if signing in is more than ten minutes ago.
    """

    two_factor_code: Code
    secret: Annotated[str, Field(max_length=200)]
    backup_codes_signature: Signed
    present_code: Code | None = None
    password: Secret | None = None


class Off(Body):
    """The password, and a code of the second factor that is switched off."""

    password: Secret
    two_factor_code: Code


class TwoFactorEnabled(Answer):
    """Whether a second factor is set up."""

    two_factor_enabled: bool


class TwoFactorRequired(Answer):
    """Whether a second factor is required."""

    require_two_factor: bool


class Codes(Answer):
    """New backup codes, which count when they are confirmed."""

    backup_codes: list[str]
    backup_codes_signature: str


class CodesConfirmed(Body):
    """The new backup codes' signature, and the password."""

    backup_codes_signature: Signed
    password: Secret


@flowkit.patch("/user/password")
def change_password(request: Request, person: MayChoose, body: Passwords) -> Done:
    """Change one's own password, and sign out everywhere else."""
    access.confirm(request, person, body.password, "password")
    with fields("newPassword"), request.app.state.database.write() as session:
        cookie = sign_in.change_password(session, person, body.newPassword)
    access.keep_cookie(request, cookie)
    return Done()


@flowkit.post("/user/enable_two_factor")
def propose_two_factor(request: Request, person: MaySetUp) -> Proposed:
    """Propose a second factor; it is stored when it is confirmed."""
    state = request.app.state
    proposal = two_factor.propose(state.vault, state.settings, person.user)
    return Proposed(
        provisioning_url=proposal.provisioning_url,
        secret=proposal.secret,
        issuer=state.settings.flowauth_two_factor_issuer,
        backup_codes=list(proposal.backup_codes),
        backup_codes_signature=proposal.signed,
    )


@flowkit.post("/user/confirm_two_factor")
def confirm_two_factor(request: Request, person: MaySetUp, body: Confirmed) -> TwoFactorEnabled:
    """Store a proposed second factor, by a code of it."""
    state, signed = request.app.state, body.backup_codes_signature
    with fields(code="two_factor_code", signed="backup_codes_signature", present="present_code"):
        proposal = two_factor.proposed(state.vault, state.settings, person.user, signed)
        if proposal.secret != body.secret:
            raise Refused("The secret is not the one that was proposed; start again.", "secret")
        if not sign_in.is_fresh(person):
            access.confirm(request, person, body.password, "password")
        with state.database.write() as session:
            user = people.find(session, person.user.id)
            two_factor.enable(
                session, state.vault, state.settings, user, signed, body.two_factor_code, present=body.present_code
            )
            cookie = sign_in.rotate(session, person)
    access.keep_cookie(request, cookie)
    return TwoFactorEnabled(two_factor_enabled=True)


@flowkit.post("/user/disable_two_factor")
def disable_two_factor(request: Request, person: SignedIn, body: Off) -> TwoFactorEnabled:
    """Switch one's second factor off, by the password and a code."""
    state = request.app.state
    access.confirm(request, person, body.password, "password")
    with fields(code="two_factor_code"), state.database.write() as session:
        user = people.find(session, person.user.id)
        two_factor.disable(session, state.vault, state.settings, user, body.two_factor_code)
    return TwoFactorEnabled(two_factor_enabled=False)


@flowkit.get("/user/generate_two_factor_backups")
def propose_backups(request: Request, person: SignedIn) -> Codes:
    """Propose new backup codes; they count when they are confirmed."""
    state = request.app.state
    if not people.has_two_factor(person.user):
        raise Refused("There are backup codes only for two-factor; set it up first.")
    codes, signed = two_factor.propose_backup_codes(state.vault, state.settings, person.user)
    return Codes(backup_codes=list(codes), backup_codes_signature=signed)


@flowkit.post("/user/generate_two_factor_backups")
def confirm_backups(request: Request, person: SignedIn, body: CodesConfirmed) -> TwoFactorEnabled:
    """Replace the backup codes by the new ones, by the password."""
    state = request.app.state
    access.confirm(request, person, body.password, "password")
    with fields(signed="backup_codes_signature"), state.database.write() as session:
        user = people.find(session, person.user.id)
        two_factor.take_backup_codes(session, state.vault, state.settings, user, body.backup_codes_signature)
    return TwoFactorEnabled(two_factor_enabled=True)


@flowkit.get("/user/two_factor_required")
def two_factor_required(request: Request, person: SignedInAtLeast) -> TwoFactorRequired:
    """Tell whether a second factor is required of oneself."""
    state = request.app.state
    with state.database.read() as session:
        user = people.find(session, person.user.id)
        required = people.needs_two_factor(user, state.settings.flowauth_require_two_factor)
    return TwoFactorRequired(require_two_factor=required)


@flowkit.get("/user/two_factor_active")
def two_factor_active(person: SignedInAtLeast) -> TwoFactorEnabled:
    """Tell whether one has set a second factor up."""
    return TwoFactorEnabled(two_factor_enabled=people.has_two_factor(person.user))
