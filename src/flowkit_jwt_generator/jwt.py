"""Tokens: who asks (`sub`), which server (`aud`), until when (`exp`), what roles allow (`user_claims`)."""

import base64
import binascii
import datetime
import json
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from flowkit_base.errors import UserError
from flowkit_jwt_generator.keys import key_id, load_private_key, load_public_key, load_public_keys
from flowkit_jwt_generator.server import get_all_claims_from_flowapi, get_audience_from_flowapi

__all__ = [
    "Claims",
    "TokenError",
    "compress_claims",
    "decompress_claims",
    "generate_token",
    "get_all_claims_from_flowapi",
    "get_audience_from_flowapi",
    "load_private_key",
    "load_public_key",
    "verify_token",
]

ALGORITHM = "RS256"
# All scopes of FlowKit are 29 kB; a token may hold many roles, and no honest one comes near this.
LARGEST_CLAIMS_BYTES = 2_000_000
CLOCK_LEEWAY = datetime.timedelta(seconds=5)
TOKEN_TYPES = (None, "JWT", "at+jwt")
"""What the `typ` of a token may be; other documents that the same keys sign have others."""


class TokenError(UserError):
    """A token is refused.

    Attributes
    ----------
    code : str
        What is wrong, for programs: token_expired, token_malformed, token_signature, token_algorithm,
        token_audience, token_not_yet_valid, token_type, token_claim_missing or token_claim_invalid.
    message : str
        The same as a sentence for people; it never holds a part of the token.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Claims:
    """What a verified token says; `roles` maps each role's name to the scopes it holds."""

    subject: str
    audience: str
    expires: datetime.datetime
    roles: Mapping[str, frozenset[str]]
    token_id: str | None = None
    issuer: str | None = None


def compress_claims(claims: Mapping[str, Sequence[str]]) -> str:
    """Pack roles and their scopes for a token: JSON, gzip, then base64 in lines of 76 characters."""
    packer = zlib.compressobj(level=9, wbits=31)
    packed = packer.compress(json.dumps(claims, separators=(",", ":")).encode()) + packer.flush()
    return base64.encodebytes(packed).decode("ascii")


def decompress_claims(claims: str, *, limit: int = LARGEST_CLAIMS_BYTES) -> dict[str, Any]:
    """Unpack what `compress_claims` packed; ValueError if it is damaged or larger than `limit` bytes."""
    try:
        packed = base64.b64decode("".join(claims.split()), validate=True)
        unpacker = zlib.decompressobj(wbits=31)
        # One byte over the limit tells a claim that is too large from one that just fits.
        text = unpacker.decompress(packed, limit + 1)
    except (binascii.Error, zlib.error, ValueError, UnicodeError) as error:
        raise ValueError("The user_claims of the token are not gzip in base64.") from error
    if len(text) > limit:
        raise ValueError(f"The user_claims of the token unpack to more than {limit} bytes.")
    if not unpacker.eof:
        raise ValueError("The user_claims of the token are cut short.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("The user_claims of the token are not JSON.") from error


def generate_token(
    *,
    flowapi_identifier: str | None = None,
    flowauth_identifier: str | None = None,
    username: str,
    private_key: str | bytes | rsa.RSAPrivateKey,
    lifetime: datetime.timedelta,
    roles: Mapping[str, Sequence[str]],
    compress: bool = True,
) -> str:
    """Make a signed token.

    Parameters
    ----------
    flowapi_identifier : str, optional
        The server the token is for (`aud`): FlowAPI's FLOWAPI_IDENTIFIER.
    flowauth_identifier : str, optional
        Who issues the token (`iss`).
    username : str
        Whom the token is for (`sub`).
    private_key : str, bytes or RSAPrivateKey
        The RSA key to sign with: PEM, base64 of PEM, or a loaded key.
    lifetime : datetime.timedelta
        How long the token is valid from now.
    roles : mapping
        Role name to the list of its scopes.
    compress : bool, default True
        Pack the roles. FlowAPI reads packed roles only.

    Returns
    -------
    str
        The token (RS256).
    """
    key = private_key if isinstance(private_key, rsa.RSAPrivateKey) else load_private_key(private_key)
    now = datetime.datetime.now(datetime.UTC)
    plain_roles = {name: list(scopes) for name, scopes in roles.items()}
    payload: dict[str, Any] = {
        "iat": now,
        "nbf": now,
        "exp": now + lifetime,
        "jti": str(uuid.uuid4()),
        "sub": username,
        "user_claims": compress_claims(plain_roles) if compress else plain_roles,
    }
    if flowapi_identifier is not None:
        payload["aud"] = flowapi_identifier
    if flowauth_identifier is not None:
        payload["iss"] = flowauth_identifier
    return jwt.encode(payload, key, algorithm=ALGORITHM, headers={"kid": key_id(key.public_key())})


def verify_token(token: str, public_keys: Sequence[rsa.RSAPublicKey | str | bytes], audience: str) -> Claims:
    """Check a token and read its claims.

    The algorithm is RS256 and no other; `exp`, `aud` and `sub` must be present; `nbf` must have come
    (five seconds of clock difference are allowed), `exp` must not; the roles must be packed, and unpack to
    two megabytes at most.

    Parameters
    ----------
    token : str
        The token, without the word Bearer.
    public_keys : sequence of RSAPublicKey, str or bytes
        The keys whose tokens are accepted; several while keys are being changed.
    audience : str
        The name of this server; the token's `aud` must be it.

    Raises
    ------
    TokenError
        The token is refused.
    """
    keys = [
        loaded
        for key in public_keys
        for loaded in ([key] if isinstance(key, rsa.RSAPublicKey) else load_public_keys(key))
    ]
    payload = verified_payload(token, keys, audience, required=("exp", "aud", "sub"), types=TOKEN_TYPES)
    try:
        expires = datetime.datetime.fromtimestamp(int(payload["exp"]), datetime.UTC)
    except (ValueError, OverflowError, OSError):
        raise TokenError("token_claim_invalid", "The exp of the token lies beyond the calendar (year 9999).") from None
    # PyJWT's leeway is for all times alike; an expired token gets none.
    if expires <= datetime.datetime.now(datetime.UTC):
        raise TokenError("token_expired", "Token has expired")
    if payload.get("type", "access") != "access":
        raise TokenError("token_type", "Only access tokens are allowed")
    return Claims(
        subject=payload["sub"],
        audience=audience,
        expires=expires,
        roles=_roles(payload),
        token_id=payload.get("jti"),
        issuer=payload.get("iss"),
    )


def unverified_key_id(token: str) -> str | None:
    """Read which key (`kid`) a token says it was signed with, before anything of it is believed."""
    try:
        named = jwt.get_unverified_header(token).get("kid")
    except (jwt.InvalidTokenError, ValueError, RecursionError, TypeError):
        return None
    return named if isinstance(named, str) else None


def verified_payload(
    text: str,
    keys: Sequence[rsa.RSAPublicKey],
    audience: str,
    *,
    required: Sequence[str],
    types: Sequence[str | None],
) -> dict[str, Any]:
    """Check the signature (RS256), the audience, the times and the `typ` of a signed document; give what it says.

    Raises
    ------
    TokenError
        The document is refused, or lacks a claim that is required.
    """
    try:
        header = jwt.get_unverified_header(text)
        named, kind = header.get("kid"), header.get("typ")
        candidates = [key for key in keys if key_id(key) == named] or list(keys)
        for position, key in enumerate(candidates, start=1):
            try:
                payload = jwt.decode(
                    text,
                    key,
                    algorithms=[ALGORITHM],
                    audience=audience,
                    leeway=CLOCK_LEEWAY,
                    options={"require": list(required)},
                )
                break
            except jwt.InvalidSignatureError:
                if position == len(candidates):
                    raise
        else:
            raise TokenError("token_signature", "Signature verification failed")
    except jwt.ExpiredSignatureError:
        raise TokenError("token_expired", "Token has expired") from None
    except jwt.MissingRequiredClaimError as error:
        raise TokenError("token_claim_missing", f"Missing claim: {error.claim}") from None
    except jwt.InvalidTokenError as error:
        if text.count(".") < 2:
            raise TokenError("token_malformed", "Not enough segments") from None
        refusals = (refusal for kind, refusal in _REFUSALS.items() if isinstance(error, kind))
        raise TokenError(*next(refusals, ("token_malformed", _DAMAGED))) from None
    # A header nested a thousand deep, an infinite exp: not errors that PyJWT foresees.
    except (ValueError, OverflowError, RecursionError, TypeError):
        raise TokenError("token_malformed", _DAMAGED) from None
    # A list, for a typ may be anything that JSON holds.
    accepted = [name.lower() if name else name for name in types]
    if (kind.lower() if isinstance(kind, str) else kind) not in accepted:
        expected = " or ".join(name for name in types if name)
        raise TokenError("token_type", f"The typ of this document is not {expected}.")
    return payload


_DAMAGED = "The token is damaged: copy it again, whole."
# Programs know FlowKit's words, where it has some: these stay as they are, without a full stop.
_REFUSALS: dict[type[Exception], tuple[str, str]] = {
    jwt.InvalidSignatureError: ("token_signature", "Signature verification failed"),
    jwt.InvalidAlgorithmError: ("token_algorithm", "The token is not signed with RS256, the only algorithm allowed."),
    jwt.InvalidAudienceError: ("token_audience", "Audience doesn't match"),
    jwt.ImmatureSignatureError: ("token_not_yet_valid", "The token is not yet valid: its nbf or iat is in the future."),
    jwt.exceptions.InvalidSubjectError: ("token_claim_invalid", "The sub of the token must be a text."),
    jwt.exceptions.InvalidJTIError: ("token_claim_invalid", "The jti of the token must be a text."),
}
"""The code and the words of each refusal, by PyJWT's error."""


def _roles(payload: dict[str, Any]) -> dict[str, frozenset[str]]:
    packed = payload.get("user_claims")
    if packed is None:
        raise TokenError("token_claim_missing", "Missing claim: user_claims")
    if not isinstance(packed, str):
        raise TokenError("token_claim_invalid", "The user_claims of the token are not packed (gzip in base64).")
    try:
        roles = decompress_claims(packed)
    except ValueError as error:
        raise TokenError("token_claim_invalid", str(error)) from None
    if not isinstance(roles, dict) or not all(
        isinstance(scopes, list) and all(isinstance(scope, str) for scope in scopes) for scopes in roles.values()
    ):
        raise TokenError("token_claim_invalid", "The user_claims of the token must map each role to a list of scopes.")
    return {name: frozenset(scopes) for name, scopes in roles.items()}
