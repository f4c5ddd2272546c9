"""What a FlowAuth publishes, read and checked: its key set (RFC 7517), and its signed lists of revoked tokens."""

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from jwt.exceptions import InvalidKeyError

from flowkit_jwt_generator.jwt import TokenError, verified_payload
from flowkit_jwt_generator.keys import SMALLEST_KEY_BITS

REVOCATIONS_TYPE = "revocations+jwt"
"""The `typ` of a revocation list, which no token has, so that neither is taken for the other."""
LARGEST_KEY_SET_BYTES = 200_000
LARGEST_REVOCATIONS_BYTES = 20_000_000
"""Room for some two hundred thousand revoked tokens."""
MOST_KEYS = 100
_LONGEST_TOKEN_ID = 200


@dataclass(frozen=True)
class RevocationList:
    """A verified revocation list; `revoked` maps the `jti` of each token to when it expires, in seconds of 1970."""

    audience: str
    issued: datetime.datetime
    revoked: Mapping[str, int]


def read_key_set(content: str | bytes) -> list[rsa.RSAPublicKey]:
    """Read the RSA signing keys of a JSON Web Key Set; keys for other uses are left out.

    Raises
    ------
    ValueError
        The set cannot be used: it is not one, holds no key to sign with, a private key, or one of too few bits.
    """
    if len(content) > LARGEST_KEY_SET_BYTES:
        raise ValueError(f"The key set has more than {LARGEST_KEY_SET_BYTES:,} bytes.")
    try:
        key_set: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError("The key set is not JSON.") from error
    listed = key_set.get("keys") if isinstance(key_set, dict) else None
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise ValueError("The key set has no list of keys.")
    if len(listed) > MOST_KEYS:
        raise ValueError(f"The key set has more than {MOST_KEYS} keys.")
    keys = [_key(each) for each in listed if _signs(each)]
    if not keys:
        raise ValueError("The key set holds no RSA key that signs tokens (RS256).")
    return keys


def read_revocations(text: str, public_keys: Sequence[rsa.RSAPublicKey], audience: str) -> RevocationList:
    """Check a signed revocation list and read it.

    Raises
    ------
    TokenError
        It is no list, of another server, of the future, or signed by none of the keys.
    """
    if len(text) > LARGEST_REVOCATIONS_BYTES:
        raise TokenError("list_malformed", f"The revocation list has more than {LARGEST_REVOCATIONS_BYTES:,} bytes")
    said = verified_payload(text.strip(), public_keys, audience, required=("aud", "iat"), types=(REVOCATIONS_TYPE,))
    return revocation_list(said, audience)


def revocation_list(said: Mapping[str, Any], audience: str) -> RevocationList:
    """Read what a list says that was verified before; TokenError where it is not what a list says."""
    issued, revoked = said.get("iat"), said.get("revoked")
    if said.get("aud") != audience:
        raise TokenError("token_audience", "The revocation list is of another server")
    if not _is_moment(issued):
        raise TokenError("list_malformed", "The iat of the revocation list must be a number of seconds")
    if not isinstance(revoked, dict) or not all(
        0 < len(jti) <= _LONGEST_TOKEN_ID and _is_moment(expiry) for jti, expiry in revoked.items()
    ):
        raise TokenError("list_malformed", "The list must map the jti of each revoked token to its expiry")
    moment = datetime.datetime.fromtimestamp(issued, datetime.UTC)
    return RevocationList(audience, moment, {jti: int(expiry) for jti, expiry in revoked.items()})


def _is_moment(value: object) -> TypeGuard[float]:
    # The year 9999; JSON writes infinity and numbers that no calendar holds.
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 253_402_300_799


def _signs(key: Mapping[str, Any]) -> bool:
    return key.get("kty") == "RSA" and key.get("use", "sig") == "sig" and key.get("alg", "RS256") == "RS256"


def _key(entry: Mapping[str, Any]) -> rsa.RSAPublicKey:
    if "d" in entry:
        raise ValueError("The key set holds a private key; publish the public halves only, and change this key.")
    try:
        key = RSAAlgorithm.from_jwk({name: entry[name] for name in ("kty", "n", "e")})
    except (InvalidKeyError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ValueError("The key set holds an RSA key that is damaged.") from error
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < SMALLEST_KEY_BITS:
        raise ValueError(f"The key set holds an RSA key of fewer than {SMALLEST_KEY_BITS} bits.")
    return key
