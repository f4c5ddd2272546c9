"""The token format of FlowKit: keys, roles and scopes, making and checking tokens."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowkit_jwt_generator.jwt import (
        Claims,
        TokenError,
        compress_claims,
        decompress_claims,
        generate_token,
        verify_token,
    )
    from flowkit_jwt_generator.keys import (
        generate_keypair,
        load_private_key,
        load_public_key,
        load_public_keys,
    )
    from flowkit_jwt_generator.published import (
        RevocationList,
        read_key_set,
        read_revocations,
    )
    from flowkit_jwt_generator.server import (
        ServerSpecError,
        get_all_claims_from_flowapi,
        get_audience_from_flowapi,
    )

__all__ = [
    "Claims",
    "RevocationList",
    "ServerSpecError",
    "TokenError",
    "compress_claims",
    "decompress_claims",
    "generate_keypair",
    "generate_token",
    "get_all_claims_from_flowapi",
    "get_audience_from_flowapi",
    "load_private_key",
    "load_public_key",
    "load_public_keys",
    "read_key_set",
    "read_revocations",
    "verify_token",
]


def __getattr__(name: str) -> Any:
    # pytest imports this package in every run, for its plugin; cryptography is loaded only when it is used.
    if name in __all__:
        for module in ("keys", "jwt", "published", "server"):
            loaded = importlib.import_module(f"flowkit_jwt_generator.{module}")
            if hasattr(loaded, name):
                return getattr(loaded, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
