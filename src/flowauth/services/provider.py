"""Signing in with an OpenID Connect provider: the code flow with PKCE, state and nonce.

A person is known by who the provider is and by their number there (`iss` and `sub`), never by an e-mail address. The
first link is made by an administrator, or by the person while they are signed in otherwise. What asks the provider
(`go`, `identify`) takes no session of the database, so that a slow provider keeps nobody else from writing.
"""

import datetime as dt
import hmac
import json
import re
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import httpx
import sqlalchemy as sa
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import import_key
from sqlalchemy.orm import Session

from flowauth.errors import NotAllowed, NotReachable, NotSignedIn, NotThere, Refused
from flowauth.services import audit, people, sign_in
from flowauth.services.keys import Vault
from flowauth.services.sign_in import Person
from flowauth.settings import Settings
from flowauth.tables import SignIn, User
from flowkit_base.addresses import is_private_way

PATH = "/sign-in/provider"
"""Where the provider sends people back to; what is registered there is FLOWAUTH_URL with this path."""
KEPT_COOKIE = "flowauth_provider"
KEPT_LIFE = dt.timedelta(minutes=10)
LEEWAY = 60
"""Seconds by which the clocks of FlowAuth and the provider may differ."""
PATIENCE = 10
"""Seconds that the provider has for an answer."""
LARGEST_ANSWER = 1_000_000
METADATA_LIFE = 600
"""Seconds for which the provider's own description is cached."""
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Signatures by a private key of the provider: never `none`, and no secret that FlowAuth shares with it."""
Purpose = Literal["sign in", "link", "confirm"]
_IS = "journey to a provider"
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")


@dataclass(frozen=True)
class Journey:
    """The way to the provider: where to send the browser, and what its cookie KEPT_COOKIE keeps for KEPT_LIFE."""

    url: str
    kept: str


@dataclass(frozen=True)
class Identity:
    """Who somebody is at the provider, as it has just said.

    Attributes
    ----------
    issuer, subject : str
        The provider, and the person's number there.
    mfa : bool
        Whether the provider has asked for a second factor.
    purpose : str
        What the browser was sent there for.
    user_id : int or None
        For whom it was sent there, to link or confirm.
    """

    issuer: str
    subject: str
    mfa: bool
    purpose: Purpose
    user_id: int | None


@dataclass(frozen=True)
class _Metadata:
    """What a provider says of itself in its discovery document."""

    authorize: str
    token: str
    keys: tuple[Any, ...]
    by_post: bool
    names_itself: bool
    until: float


_metadata: dict[str, _Metadata] = {}
_lock = threading.Lock()


def offered(settings: Settings) -> bool:
    """Whether there is a provider to sign in with."""
    return settings.flowauth_oidc_issuer is not None


def go(
    settings: Settings,
    vault: Vault,
    purpose: Purpose = "sign in",
    person: Person | None = None,
    *,
    now: dt.datetime | None = None,
) -> Journey:
    """Send a browser to the provider: to sign in, or, for somebody who is signed in, to link or confirm themselves.

    NotReachable if the provider does not answer.
    """
    metadata = _of(settings)
    now = now or dt.datetime.now(dt.UTC)
    if (purpose == "sign in") != (person is None):
        raise NotAllowed("Sign in first.")
    state, nonce, verifier = (secrets.token_urlsafe(48) for _ in range(3))
    kept = {
        "is": _IS,
        "state": state,
        "nonce": nonce,
        "verifier": verifier,
        "purpose": purpose,
        "user": person.user.id if person else None,
        "began": now.timestamp(),
    }
    # To confirm oneself is to sign in there again, however recently one has.
    again = {"max_age": "0", "prompt": "login"} if purpose == "confirm" else {}
    url = prepare_grant_uri(
        metadata.authorize,
        settings.flowauth_oidc_client_id,
        "code",
        redirect_uri=_redirect(settings),
        scope="openid",
        state=state,
        nonce=nonce,
        code_challenge=create_s256_code_challenge(verifier),
        code_challenge_method="S256",
        **again,
    )
    return Journey(url, vault.sealed(json.dumps(kept)))


def identify(
    settings: Settings,
    vault: Vault,
    kept: str | None,
    answer: Mapping[str, str],
    *,
    now: dt.datetime | None = None,
) -> Identity:
    """Who came back from the provider: `kept` is the cookie of the journey, `answer` the query of the address.

    Take the cookie away whatever comes of it. Raises NotSignedIn, or NotReachable.
    """
    metadata = _of(settings)
    now = now or dt.datetime.now(dt.UTC)
    journey = _journey(vault, kept, now)
    if not _same(answer.get("state"), journey["state"]):
        raise NotSignedIn("This answer of the provider belongs to another sign-in; start again.")
    named = answer.get("iss")
    if named != settings.flowauth_oidc_issuer and (named is not None or metadata.names_itself):
        raise NotSignedIn("This answer came from another provider; start again.")
    if (error := answer.get("error")) is not None:
        reason = f": {error}" if _ERROR_CODE.fullmatch(error) else ""
        raise NotSignedIn(f"{_called(settings)} did not sign you in{reason}.")
    if not (code := answer.get("code")):
        raise NotSignedIn("The provider's answer holds no code; start again.")
    token, access = _redeem(settings, metadata, code, journey["verifier"])
    claims = _verified(settings, token, access, journey["nonce"], journey["purpose"] == "confirm", now)
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= people.LONGEST_SUBJECT or not subject.isprintable():
        raise NotSignedIn(f"{_called(settings)} did not say who you are in a way that can be kept.")
    # Written so that a time which is no number is too early.
    if journey["purpose"] == "confirm" and not claims["auth_time"] >= journey["began"] - LEEWAY:
        raise NotSignedIn(f"{_called(settings)} did not ask you to sign in again; start again.")
    amr = claims.get("amr")
    mfa = isinstance(amr, list) and "mfa" in amr
    return Identity(claims["iss"], subject, mfa, journey["purpose"], journey["user"])


def begin(
    session: Session,
    settings: Settings,
    identity: Identity,
    address: str,
    *,
    now: dt.datetime | None = None,
) -> tuple[str, SignIn]:
    """Sign in who the provider says it is: as `sign_in.begin` after a right password.

    A second factor is needed as for everybody, unless the provider has asked for one.
    """
    if identity.purpose != "sign in":
        raise NotSignedIn("This answer of the provider was for something else; start again.")
    user = people.linked(session, identity.issuer, identity.subject)
    if user is None:
        raise NotSignedIn(
            f"{_called(settings)} knows you as '{identity.subject}', but nobody here is linked to that yet. Sign in "
            "with your password and link it on your account's page, or ask an administrator to link it."
        )
    return sign_in.open_sign_in(
        session, settings, user, address, by="provider", provider_mfa=identity.mfa, now=now or dt.datetime.now(dt.UTC)
    )


def link(session: Session, person: Person, identity: Identity, *, now: dt.datetime | None = None) -> None:
    """Link somebody who is signed in, and has given their password of late, to who they are at the provider."""
    now = now or dt.datetime.now(dt.UTC)
    present = session.get(SignIn, person.sign_in.id, populate_existing=True)
    if identity.purpose != "link" or identity.user_id != person.user.id or present is None or not present.complete:
        raise NotAllowed("This answer of the provider was for somebody else, or something else; start again.")
    if person.choice_needed:
        raise NotAllowed("Choose a password of your own first.")
    if person.set_up_needed:
        raise NotAllowed("Set up two-factor first.")
    if present.confirmed is None or now - present.confirmed > sign_in.CONFIRMED_LIFE + KEPT_LIFE:
        raise NotAllowed("Too long has passed since you gave your password; give it again, then link.")
    user = session.get_one(User, person.user.id, populate_existing=True)
    link_by(session, user.username, user, identity.issuer, identity.subject)


def confirm(session: Session, person: Person, identity: Identity, *, now: dt.datetime | None = None) -> None:
    """Take the provider's word, just given, in place of the password of somebody who is signed in."""
    user = session.get_one(User, person.user.id, populate_existing=True)
    same = (user.provider_issuer, user.provider_subject) == (identity.issuer, identity.subject)
    if identity.purpose != "confirm" or identity.user_id != user.id or not same:
        raise NotAllowed("This answer of the provider was for somebody else, or something else; start again.")
    confirmed = sa.update(SignIn).where(SignIn.id == person.sign_in.id)
    session.execute(confirmed.values(confirmed=now or dt.datetime.now(dt.UTC)))


def link_by(session: Session, actor: str, user: User, issuer: str, subject: str) -> None:
    """Link a person to who they are at the provider, as an administrator may for anybody.

    Sign-ins at this account by the provider then are this person's: nobody is linked twice, nor are two to one.
    """
    if user.provider_subject is not None:
        if (user.provider_issuer, user.provider_subject) == (issuer.strip(), subject.strip()):
            return
        raise Refused(f"'{user.username}' is linked to somebody at the provider already; unlink first.")
    issuer, subject = people.linkable(session, issuer, subject)
    user.provider_issuer, user.provider_subject = issuer, subject
    session.flush()
    facts = {"issuer": issuer, "subject": subject}
    audit.record(session, actor, "provider.link", user.username, after=facts)


def unlink(session: Session, actor: str, user: User, *, but: str | None = None) -> None:
    """Remove the link to the provider, and end the person's sign-ins but for one; refused to who has no password."""
    if user.provider_subject is None:
        return
    if user.password is None:
        raise Refused(f"'{user.username}' has no password and could not sign in any more; set one first.")
    facts = {"issuer": user.provider_issuer, "subject": user.provider_subject}
    user.provider_issuer = user.provider_subject = None
    audit.record(session, actor, "provider.unlink", user.username, before=facts)
    people.sign_out_everywhere(session, user, but)


def forget() -> None:
    """Read the provider's description again."""
    with _lock:
        _metadata.clear()


def _journey(vault: Vault, kept: str | None, now: dt.datetime) -> dict[str, Any]:
    try:
        journey = json.loads(vault.opened(kept or ""))
    except (Refused, ValueError):
        journey = None
    if not isinstance(journey, dict) or journey.get("is") != _IS:
        raise NotSignedIn(
            "This browser has not begun to sign in with the provider, or its cookie is gone; start again."
        )
    if now.timestamp() - journey["began"] > KEPT_LIFE.total_seconds():
        raise NotSignedIn("Signing in with the provider took longer than ten minutes; start again.")
    return journey


def _redeem(settings: Settings, metadata: _Metadata, code: str, verifier: str) -> tuple[str, str | None]:
    """Change the code for the ID token and the access token."""
    client, secret = settings.flowauth_oidc_client_id or "", settings.flowauth_oidc_client_secret
    password = secret.get_secret_value() if secret else ""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": _redirect(settings),
        "code_verifier": verifier,
    }
    # RFC 6749 §2.3.1: both are form-encoded before they become the parts of Basic.
    basic = None if metadata.by_post else httpx.BasicAuth(quote(client, safe=""), quote(password, safe=""))
    if metadata.by_post:
        form |= {"client_id": client, "client_secret": password}
    given = _ask(settings, "POST", metadata.token, form, basic)
    if "error" in given or not isinstance(given.get("id_token"), str):
        raise NotSignedIn(f"{_called(settings)} did not accept the code that it sent you with; start again.")
    access = given.get("access_token")
    return given["id_token"], access if isinstance(access, str) else None


def _verified(  # noqa: PLR0917
    settings: Settings, token: str, access: str | None, nonce: str, confirms: bool, now: dt.datetime
) -> CodeIDToken:
    """What an ID token says, if all of it holds (OpenID Connect Core §3.1.3.7)."""
    refusal = f"What {_called(settings)} says of you cannot be believed"
    try:
        read = _decoded(settings, token)
        client = settings.flowauth_oidc_client_id
        options: Any = {
            "iss": {"essential": True, "value": settings.flowauth_oidc_issuer},
            "aud": {"essential": True, "value": client},
            "nonce": {"essential": True, "value": nonce},
            "auth_time": {"essential": confirms},
        }
        claims = CodeIDToken(read.claims, read.header, options, {"client_id": client, "access_token": access})
        claims.validate(int(now.timestamp()), LEEWAY)
        audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if len(audiences) > 1 and "azp" not in claims:
            raise NotSignedIn(f"{refusal}: it is meant for others too.")
    except (JoseError, ValueError, TypeError, KeyError, UnicodeError) as error:
        which = getattr(error, "claim", None) or getattr(error, "error", "it is malformed")
        raise NotSignedIn(f"{refusal} ({which}); start again, and tell an administrator if it goes on.") from error
    return claims


def _decoded(settings: Settings, token: str) -> jwt.Token:
    """Check the signature by the provider's keys, which are read again if it has signed with a new one."""
    kid = jws.extract_compact(token.encode()).headers().get("kid")
    for again in (False, True):
        keys = [key for key in _of(settings, again).keys if kid is None or key.kid == kid]
        for key in keys:
            try:
                return jwt.decode(token, key, algorithms=list(ALGORITHMS))
            except (BadSignatureError, ValueError, TypeError):
                continue
            except JoseError:
                if len(keys) == 1:
                    raise
    raise BadSignatureError


def _of(settings: Settings, again: bool = False) -> _Metadata:
    """The provider's description, and its keys."""
    issuer = settings.flowauth_oidc_issuer
    if issuer is None:
        raise NotThere("There is no provider to sign in with.")
    with _lock:
        metadata = _metadata.get(issuer)
        if metadata is not None and not again and metadata.until > time.monotonic():
            return metadata
    document = _ask(settings, "GET", issuer.rstrip("/") + "/.well-known/openid-configuration")
    if document.get("issuer") != issuer:
        raise NotReachable(
            f"The provider at {issuer} calls itself otherwise; FLOWAUTH_OIDC_ISSUER must be the very `issuer` of its "
            "openid-configuration."
        )
    ends = [document.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
    if not all(isinstance(end, str) and is_private_way(end) for end in ends):
        raise NotReachable(f"The provider at {issuer} names no endpoints that are reached by https.")
    authorize, token, jwks = (str(end) for end in ends)
    methods = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    metadata = _Metadata(
        authorize=authorize,
        token=token,
        keys=_keys(_ask(settings, "GET", jwks)),
        by_post="client_secret_basic" not in methods,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        until=time.monotonic() + METADATA_LIFE,
    )
    with _lock:
        _metadata[issuer] = metadata
    return metadata


def _keys(key_set: dict[str, Any]) -> tuple[Any, ...]:
    """The public keys of a key set that are for signatures; what is of another kind is left out."""
    keys = []
    for each in key_set.get("keys") or []:
        if isinstance(each, dict) and each.get("kty") in ("RSA", "EC", "OKP") and each.get("use", "sig") == "sig":
            try:
                keys.append(import_key(each))
            except (JoseError, ValueError, TypeError, KeyError):
                continue
    return tuple(keys)


def _ask(
    settings: Settings, method: str, url: str, form: dict[str, str] | None = None, auth: httpx.Auth | None = None
) -> dict[str, Any]:
    """Ask the provider something; every way in which it does not answer is one sentence."""
    problem = None
    content = b""
    try:
        headers = {"Accept": "application/json"}
        with httpx.stream(method, url, data=form, auth=auth, headers=headers, timeout=PATIENCE) as answer:
            for piece in answer.iter_bytes():
                content += piece
                if len(content) > LARGEST_ANSWER:
                    problem = "its answer is too long"
                    break
            # The token endpoint says what is wrong with a code by 400 and 401.
            if answer.status_code not in (200, 400, 401) or (method == "GET" and answer.status_code != 200):
                problem = f"it answers {answer.status_code}"
        document = None if problem else json.loads(content)
    except httpx.HTTPError as error:
        problem, document = type(error).__name__, None
    except (ValueError, RecursionError):
        problem, document = "its answer is not JSON", None
    if not isinstance(document, dict):
        raise NotReachable(
            f"{_called(settings)} cannot be reached for signing in at present "
            f"({problem or 'its answer is no object'}). Sign in with your password, or try again later."
        )
    return document


def _redirect(settings: Settings) -> str:
    return f"{settings.flowauth_url}{PATH}"


def _called(settings: Settings) -> str:
    name = settings.flowauth_oidc_name
    return name[:1].upper() + name[1:]


def _same(given: str | None, kept: str) -> bool:
    return given is not None and given.isascii() and hmac.compare_digest(given, kept)
