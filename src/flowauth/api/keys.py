"""The keys that tokens are signed with by script, for administrators."""

import datetime as dt

from fastapi import APIRouter, Request

from flowauth import access
from flowauth.access import Administrator, KeyId
from flowauth.api.documents import Answer, Body, Moment, Secret
from flowauth.api.routes import FlowKitRoute
from flowauth.services import keys
from flowauth.tables import SigningKey

flowkit = APIRouter(route_class=FlowKitRoute, tags=["keys"])
own = APIRouter(tags=["keys"])


class PublicKey(Answer):
    """The key that signs now, as PEM, and all that a FlowAPI is to believe, in a row."""

    public_key: str
    public_keys: str


class KeyAnswer(Answer):
    """A signing key; a FlowAPI believes those that are published."""

    kid: str
    public_key: str
    created: Moment
    signs_from: Moment
    withdrawn: Moment | None
    published: bool


class NewKey(Body):
    """From when on a new key signs; left out, in an hour, so that every FlowAPI has it before."""

    signs_from: Moment | None = None


class Confirmation(Body):
    """The password of who asks, for what a stolen session must not do."""

    your_password: Secret


class Withdrawn(Answer):
    """A key that is believed no more, and how many live tokens ended with it."""

    kid: str
    tokens_ended: int


@flowkit.get("/admin/public_key")
def public_key(request: Request, person: Administrator) -> PublicKey:
    """Give the public key that a FlowAPI checks tokens with, and all of them while one follows another."""
    state = request.app.state
    with state.database.read() as session:
        kid, _ = keys.signing(session, state.vault)
        return PublicKey(public_key=session.get_one(SigningKey, kid).public, public_keys=keys.public_keys(session))


@own.get("/admin/keys")
def all_keys(request: Request, person: Administrator) -> list[KeyAnswer]:
    """List the keys that tokens are signed with, the latest first."""
    with request.app.state.database.read() as session:
        published = {key.kid for key in keys.published(session)}
        return [_key(key, key.kid in published) for key in session.scalars(keys.search())]


@own.post("/admin/keys")
def announce_key(request: Request, person: Administrator, body: NewKey) -> KeyAnswer:
    """Make a key that signs from a moment on."""
    state = request.app.state
    signs_from = keys.valid_start(body.signs_from or dt.datetime.now(dt.UTC) + keys.IN_ADVANCE)
    key = keys.make(state.vault)
    with state.database.write() as session:
        return _key(keys.announce(session, key, person.user.username, signs_from), True)


@own.post("/admin/keys/{kid}/withdraw")
def withdraw_key(request: Request, kid: KeyId, person: Administrator, body: Confirmation) -> Withdrawn:
    """Believe a key no more, by one's own password; tokens that it has signed end."""
    access.confirm(request, person, body.your_password, "your_password")
    with request.app.state.database.write() as session:
        return Withdrawn(kid=kid, tokens_ended=keys.withdraw(session, person.user.username, kid))


def _key(key: SigningKey, published: bool) -> KeyAnswer:
    return KeyAnswer(
        kid=key.kid,
        public_key=key.public,
        created=key.created,
        signs_from=key.signs_from,
        withdrawn=key.withdrawn,
        published=published,
    )
