"""Administration: the keys that tokens are signed with."""

import datetime as dt

import sqlalchemy as sa
from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from flowauth import access
from flowauth.access import Administrator, KeyId, Posted
from flowauth.errors import NotThere, Refused
from flowauth.pages import forms
from flowauth.pages.lists import listed
from flowauth.pages.render import moment, page, then, weigh
from flowauth.pages.users import ended
from flowauth.services import keys, tokens
from flowauth.tables import SigningKey, Token

router = APIRouter()


@router.get("/manage/keys")
def all_keys(request: Request, person: Administrator) -> Response:
    """List the keys, and what each is for now."""
    with request.app.state.database.read() as session:
        return _show(request, session)


@router.get("/manage/keys/public.pem")
def all_public_keys(request: Request, person: Administrator) -> Response:
    """Give every published public key, the one that signs first."""
    with request.app.state.database.read() as session:
        return _file(keys.public_keys(session), "flowauth-public-keys.pem")


@router.get("/manage/keys/{kid}.pem")
def public_key(request: Request, kid: KeyId, person: Administrator) -> Response:
    """Give one public key."""
    with request.app.state.database.read() as session:
        key = session.get(SigningKey, kid)
        if key is None:
            raise NotThere("There is no such key.")
        return _file(key.public, f"flowauth-{key.kid[:12]}.pem")


@router.post("/manage/keys")
def announce(request: Request, person: Administrator, form: Posted) -> Response:
    """Make a key that signs from a moment on."""
    try:
        at_once = forms.text(form, "when") == "now"
        signs_from = keys.valid_start(dt.datetime.now(dt.UTC) if at_once else forms.when(form, "signs_from"))
        losses = ["A FlowAPI refuses new tokens until it has fetched the new key."] if at_once else []
        weigh(form, "Sign with a new key at once?", losses, "Sign with a new key", "/manage/keys")
        state = request.app.state
        new = keys.make(state.vault)
        with state.database.write() as session:
            key = keys.announce(session, new, person.user.username, signs_from)
    except Refused as refused:
        with request.app.state.database.read() as session:
            return _show(request, session, refused)
    return then(request, "/manage/keys", f"The key {key.kid[:12]}… signs from {moment(key.signs_from)} on.")


@router.post("/manage/keys/{kid}/withdraw")
def withdraw(request: Request, kid: KeyId, person: Administrator, form: Posted) -> Response:
    """Believe a key no more, by one's own password."""
    try:
        if forms.text(form, "confirmed"):
            access.confirm(request, person, forms.secret(form, "your_password"), "your_password")
        with request.app.state.database.write() as session:
            gone = keys.withdraw(session, person.user.username, kid)
            losses = ["FlowAPIs that fetch the key set believe nothing more that this key has signed."]
            weigh(
                form,
                f"Withdraw the key {kid[:12]}…?",
                losses + ended(gone),
                "Withdraw the key",
                "/manage/keys",
                password=True,
            )
    except Refused as refused:
        with request.app.state.database.read() as session:
            return _show(request, session, refused)
    return then(request, "/manage/keys", f"The key {kid[:12]}… is withdrawn.")


def _show(request: Request, session: Session, refused: Refused | None = None) -> Response:
    alive = sa.select(Token.kid, sa.func.count()).where(tokens.alive()).group_by(Token.kid)
    return page(
        request,
        "keys.html",
        refused.status if refused else 200,
        keys=listed(session, request, keys.search()),
        states=keys.states(session),
        tokens=dict(session.execute(alive).tuples().all()),
        proposed=dt.datetime.now(dt.UTC) + keys.IN_ADVANCE,
        refused=refused,
    )


def _file(pem: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(pem, media_type="application/x-pem-file", headers=headers)
