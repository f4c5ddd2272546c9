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
from flowauth.pages.render import Unconfirmed, confirmation, moment, page, then, weigh
from flowauth.pages.users import ended
from flowauth.services import keys
from flowauth.tables import SigningKey, Token

router = APIRouter()
IN_ADVANCE = dt.timedelta(hours=1)
"""How long before it signs a key is announced, unless another moment is chosen."""


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
    now = dt.datetime.now(dt.UTC)
    try:
        signs_from = now if forms.text(form, "when") == "now" else forms.when(form, "signs_from")
        if signs_from is None or signs_from < now - dt.timedelta(minutes=5):
            raise Refused("Choose the moment from which the key is to sign; it lies in the future.", "signs_from")
        losses = []
        if forms.text(form, "when") == "now":
            losses.append("A FlowAPI refuses new tokens until it has fetched the new key.")
        weigh(form, "Sign with a new key at once?", losses, "Sign with a new key", "/manage/keys")
        state = request.app.state
        made = keys.make(state.vault)
        with state.database.write() as session:
            key = keys.announce(session, made, person.user.username, max(signs_from, now))
    except Unconfirmed as asked:
        return confirmation(request, form, asked)
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
    except Unconfirmed as asked:
        return confirmation(request, form, asked)
    except Refused as refused:
        with request.app.state.database.read() as session:
            return _show(request, session, refused)
    return then(request, "/manage/keys", f"The key {kid[:12]}… is withdrawn.")


def _show(request: Request, session: Session, refused: Refused | None = None) -> Response:
    now = dt.datetime.now(dt.UTC)
    there = listed(session, request, sa.select(SigningKey).order_by(SigningKey.signs_from.desc(), SigningKey.kid))
    published = {key.kid for key in keys.published(session)}
    able = [key for key in there.rows if key.withdrawn is None and key.signs_from <= now]
    signing = max(able, key=lambda key: (key.signs_from, key.kid)).kid if able else None
    alive = sa.select(Token.kid, sa.func.count()).where(Token.expiry > now, Token.revoked.is_(None))
    tokens = dict(session.execute(alive.group_by(Token.kid)).tuples().all())
    return page(
        request,
        "keys.html",
        refused.status if refused else 200,
        keys=there,
        published=published,
        signing=signing,
        tokens=tokens,
        now=now,
        proposed=now + IN_ADVANCE,
        refused=refused,
    )


def _file(pem: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(pem, media_type="application/x-pem-file", headers=headers)
