"""The keys that tokens are signed with: several, so that one can follow another without a gap.

A key is announced first, so that every FlowAPI has it before a token needs it; signs from its moment on; and is
believed until the last token that it has signed has expired, or until it is withdrawn.
"""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any, Literal

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from sqlalchemy.orm import Session

from flowauth.errors import NotThere, Refused
from flowauth.services import audit
from flowauth.tables import SigningKey, Token
from flowkit_jwt_generator.keys import generate_keypair, key_id, load_private_key, load_public_key, public_pem

IN_ADVANCE = dt.timedelta(hours=1)
"""How long before it signs a key is announced, unless another moment is chosen."""
State = Literal["announced", "signing", "believed", "past", "withdrawn"]
"""What a key is for: it will sign, signs, has signed tokens that live, has none any more, or is believed no more."""


class Vault:
    """What is encrypted at rest, by the deployment's Fernet key."""

    def __init__(self, fernet_key: str) -> None:
        self._fernet = Fernet(fernet_key)
        self._loaded: dict[str, rsa.RSAPrivateKey] = {}

    def sealed(self, text: str) -> str:
        """The text, encrypted."""
        return self._fernet.encrypt(text.encode()).decode()

    def opened(self, sealed: str) -> str:
        """The text that was encrypted; Refused if FLOWAUTH_FERNET_KEY is not the one that it was encrypted with."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise Refused("FLOWAUTH_FERNET_KEY is not the key that this database was written with.") from error

    def private(self, key: SigningKey) -> rsa.RSAPrivateKey:
        """The private half of a signing key; it is checked and kept at its first use, for that takes 0.3 seconds."""
        if key.kid not in self._loaded:
            self._loaded[key.kid] = load_private_key(self.opened(key.private))
        return self._loaded[key.kid]

    def key(self, pem: str) -> SigningKey:
        """A private key with its private half encrypted, as it is stored; nobody believes it before it is announced."""
        public = load_private_key(pem).public_key()
        # It is not kept as loaded: what is stored must be opened once, or a wrong Fernet key goes unseen.
        return SigningKey(kid=key_id(public), private=self.sealed(pem), public=public_pem(public).decode())


def admit(session: Session, vault: Vault, pem: str, actor: str = audit.SYSTEM) -> SigningKey:
    """Take a private key that was made elsewhere: it signs from now on, unless it is there already."""
    key = vault.key(pem)
    return session.get(SigningKey, key.kid) or announce(session, key, actor, dt.datetime.now(dt.UTC))


def make(vault: Vault) -> SigningKey:
    """Make a key to announce; it takes its time, so make it before the transaction in which nobody else writes."""
    private, _ = generate_keypair()
    return vault.key(private.decode())


def announce(session: Session, key: SigningKey, actor: str, signs_from: dt.datetime) -> SigningKey:
    """Let a key sign from a moment on; leave every FlowAPI the time to fetch it before."""
    key.created, key.signs_from = dt.datetime.now(dt.UTC), signs_from
    session.add(key)
    audit.record(session, actor, "key.announce", key.kid, after={"signs from": signs_from})
    return key


def valid_start(signs_from: dt.datetime | None) -> dt.datetime:
    """The moment from which a new key is to sign, if it can: it lies in the future, or is now."""
    now = dt.datetime.now(dt.UTC)
    if signs_from is None or signs_from < now - dt.timedelta(minutes=5):
        raise Refused("Choose the moment from which the key signs; it lies in the future.", "signs_from")
    return max(signs_from, now)


def search() -> sa.Select[tuple[SigningKey]]:
    """All keys, the latest first."""
    return sa.select(SigningKey).order_by(SigningKey.signs_from.desc(), SigningKey.kid)


def states(session: Session) -> dict[str, State]:
    """What each key is for now, by its id."""
    now, believed = dt.datetime.now(dt.UTC), {key.kid for key in published(session)}
    keys = session.scalars(search()).all()
    able = [key.kid for key in keys if key.withdrawn is None and key.signs_from <= now]

    def state(key: SigningKey) -> State:
        if key.withdrawn is not None:
            return "withdrawn"
        # The latest is first; of two of one moment, the one of the greater id signs.
        if able and key.kid == max(able, key=lambda kid: (starts[kid], kid)):
            return "signing"
        if key.signs_from > now:
            return "announced"
        return "believed" if key.kid in believed else "past"

    starts = {key.kid: key.signs_from for key in keys}
    return {key.kid: state(key) for key in keys}


def withdraw(session: Session, actor: str, kid: str) -> int:
    """Believe a key no more, as when it has leaked; give the number of live tokens that end with it.

    The key that signs can be withdrawn only when another has come.
    """
    key = session.get(SigningKey, kid)
    if key is None:
        raise NotThere(f"There is no signing key {kid}.")
    if key.withdrawn is not None:
        return 0
    now = dt.datetime.now(dt.UTC)
    others = [other for other in _believed(session) if other.kid != kid and other.signs_from <= now]
    if not others:
        raise Refused(
            "This is the only key that can sign; announce another one that signs at once, then withdraw this."
        )
    key.withdrawn = now
    ended = list(session.scalars(sa.select(Token).where(Token.kid == kid, Token.expiry > now, Token.revoked.is_(None))))
    for token in ended:
        token.revoked, token.revoked_because = now, "its key was withdrawn"
    audit.record(session, actor, "key.withdraw", kid, after={"tokens": [token.jti for token in ended]})
    return len(ended)


def signing(session: Session, vault: Vault) -> tuple[str, rsa.RSAPrivateKey]:
    """The key that signs now: its id and its private half."""
    now = dt.datetime.now(dt.UTC)
    able = [key for key in _believed(session) if key.signs_from <= now]
    if not able:
        raise Refused("No key can sign at present; announce one that signs at once.")
    key = max(able, key=lambda each: (each.signs_from, each.kid))
    return key.kid, vault.private(key)


def published(session: Session) -> Sequence[SigningKey]:
    """The keys that a FlowAPI is to believe: what signs, what will, and what has signed a token that is still alive."""
    now = dt.datetime.now(dt.UTC)
    believed = _believed(session)
    current = max((key.signs_from for key in believed if key.signs_from <= now), default=now)
    lives = sa.exists().where(Token.kid == SigningKey.kid, Token.expiry > now)
    living = set(session.scalars(sa.select(SigningKey.kid).where(lives)))
    return [key for key in believed if key.signs_from >= current or key.kid in living]


def key_set(session: Session) -> dict[str, Any]:
    """The published keys as a JSON Web Key Set (RFC 7517)."""
    keys = []
    for key in published(session):
        numbers = json.loads(RSAAlgorithm.to_jwk(load_public_key(key.public)))
        keys.append({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": key.kid, "n": numbers["n"], "e": numbers["e"]})
    return {"keys": keys}


def public_keys(session: Session) -> str:
    """The published keys as PEM in a row, the one that signs first: what PUBLIC_JWT_SIGNING_KEY takes."""
    now = dt.datetime.now(dt.UTC)
    ordered = sorted(published(session), key=lambda key: (key.signs_from <= now, key.signs_from), reverse=True)
    return "".join(key.public for key in ordered)


def _believed(session: Session) -> Sequence[SigningKey]:
    return session.scalars(
        sa.select(SigningKey).where(SigningKey.withdrawn.is_(None)).order_by(SigningKey.signs_from, SigningKey.kid)
    ).all()
