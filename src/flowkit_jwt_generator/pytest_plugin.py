"""Pytest fixtures that make keys and tokens; nothing is read until a test asks for a fixture."""

import datetime
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

_SECRETS = Path("/run/secrets")


def _setting(name: str) -> str:
    secret = _SECRETS / name
    if secret.is_file():
        return secret.read_text()
    value = os.environ.get(name)
    if not value:
        raise OSError(f"{name} is not set; give it as an environment variable, or as the file {secret}.")
    return value


@pytest.fixture
def private_key() -> "RSAPrivateKey":
    """Load the RSA private key in PRIVATE_JWT_SIGNING_KEY."""
    from flowkit_jwt_generator.keys import load_private_key  # noqa: PLC0415

    return load_private_key(_setting("PRIVATE_JWT_SIGNING_KEY"))


@pytest.fixture
def public_key() -> "RSAPublicKey":
    """Load the RSA public key in PUBLIC_JWT_SIGNING_KEY."""
    from flowkit_jwt_generator.keys import load_public_key  # noqa: PLC0415

    return load_public_key(_setting("PUBLIC_JWT_SIGNING_KEY"))


@pytest.fixture
def private_key_bytes(private_key: "RSAPrivateKey") -> bytes:
    """Write the private key as PKCS#1 PEM."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    return private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


@pytest.fixture
def public_key_bytes(public_key: "RSAPublicKey") -> bytes:
    """Write the public key as SubjectPublicKeyInfo PEM."""
    from flowkit_jwt_generator.keys import public_pem  # noqa: PLC0415

    return public_pem(public_key)


@pytest.fixture
def access_token_builder(private_key: "RSAPrivateKey") -> Callable[[Mapping[str, Sequence[str]]], str]:
    """Give a function from roles to a token of user `test` for FLOWAPI_IDENTIFIER, valid 300 seconds."""
    from flowkit_jwt_generator.jwt import generate_token  # noqa: PLC0415

    audience = _setting("FLOWAPI_IDENTIFIER")

    def token_maker(roles: Mapping[str, Sequence[str]]) -> str:
        return generate_token(
            flowapi_identifier=audience,
            username="test",
            private_key=private_key,
            lifetime=datetime.timedelta(seconds=300),
            roles=roles,
        )

    return token_maker


@pytest.fixture
def universal_access_token(flowapi_url: str, access_token_builder: Callable[[Mapping[str, Sequence[str]]], str]) -> str:
    """Make a token with every scope of the server at the test suite's `flowapi_url` fixture."""
    from flowkit_jwt_generator.server import get_all_claims_from_flowapi  # noqa: PLC0415

    return access_token_builder({"universal_role": get_all_claims_from_flowapi(flowapi_url)})
