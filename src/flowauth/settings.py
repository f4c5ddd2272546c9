"""The settings of FlowAuth, each from /run/secrets/<NAME> or else from the environment variable <NAME>."""

import ipaddress as ip
from functools import cache
from typing import Self
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from pydantic import Field, FilePath, SecretStr, ValidationError, field_validator, model_validator

from flowauth.errors import Refused
from flowkit_base import settings as base
from flowkit_base.addresses import is_private_way
from flowkit_base.settings import LogLevel, complaints
from flowkit_jwt_generator.keys import load_private_key

FEWEST_BITS = 2048


@cache
def _networks(text: str) -> tuple[ip.IPv4Network | ip.IPv6Network, ...]:
    networks = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            networks.append(ip.ip_network(part, strict=False))
        except ValueError:
            raise ValueError(
                f"'{part}' is neither an address nor a network; write them as 10.0.0.5, 10.1.0.0/16"
            ) from None
    return tuple(networks)


class Settings(base.Settings):
    """What an administrator sets for one FlowAuth."""

    private_jwt_signing_key: SecretStr = Field(
        description="RSA private key that tokens are signed with, PEM or base64 of PEM; the first of the signing keys."
    )
    flowauth_fernet_key: SecretStr = Field(description="Fernet key that encrypts signing keys and two-factor secrets.")
    secret_key: SecretStr = Field(
        min_length=16, description="Secret that forms are signed with, so that no other page can send them."
    )
    flowauth_admin_username: str | None = Field(
        None, description="Name of the first administrator, who is made if there is none; else it has no effect."
    )
    flowauth_admin_password: SecretStr | None = Field(None, description="Password of the first administrator.")
    flowauth_admin_password_generated: bool = Field(
        False, description="The first administrator must choose another password before anything else."
    )
    db_uri: str = Field(
        "sqlite:///flowauth.db", description="SQLAlchemy URI of the database; {} stands for FLOWAUTH_DB_PASSWORD."
    )
    flowauth_db_password: SecretStr = Field(SecretStr(""), description="Password of the database.")
    flowauth_host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    flowauth_port: int = Field(9091, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    flowauth_url: str | None = Field(
        None,
        description="Address under which people reach FlowAuth, as https://auth.example.org; requests for other hosts "
        "are refused. Left out, FlowAuth answers on loopback names alone.",
    )
    flowauth_trusted_proxies: str = Field(
        "", description="Addresses of reverse proxies whose X-Forwarded-For is believed, separated by commas."
    )
    flowauth_session_minutes: int = Field(
        20, ge=1, le=24 * 60, description="Minutes without a request that end a sign-in."
    )
    flowauth_session_hours: int = Field(
        12, ge=1, le=24 * 7, description="Hours after which a sign-in ends in any case."
    )
    flowauth_two_factor_issuer: str = Field("FlowAuth", min_length=1, description="Name shown in authenticator apps.")
    two_factor_valid_window: int = Field(
        0, ge=0, le=10, description="Steps of 30 seconds by which a code may be early or late."
    )
    flowauth_breached_passwords: FilePath | None = Field(
        None,
        description="File in which new passwords are looked up: the SHA-1 of one a line, sorted, as Have I Been Pwned "
        "offers it for use without a network.",
    )
    flowauth_require_two_factor: bool = Field(False, description="Require two-factor of everybody.")
    flowauth_oidc_issuer: str | None = Field(None, description="Address of an OpenID Connect provider to sign in with.")
    flowauth_oidc_client_id: str | None = Field(None, description="FlowAuth's client id at the provider.")
    flowauth_oidc_client_secret: SecretStr | None = Field(None, description="FlowAuth's client secret at the provider.")
    flowauth_oidc_name: str = Field("your organisation", description="What the provider is called on the sign-in page.")
    flowauth_follow_seconds: int = Field(
        300,
        ge=0,
        le=7 * 24 * 3600,
        description="Seconds between two readings of the document of a server that has an address; 0 reads none.",
    )
    flowauth_log_level: LogLevel = Field("error", description="Least level of the log on standard error.")
    demo_mode: bool = Field(
        False, description="FlowKit's demonstration users; refused here, for `flowkit demo` alone makes them."
    )
    reset_flowauth_db: bool = Field(
        False, description="FlowKit emptied the database if this was set; FlowAuth refuses to start with it."
    )

    @field_validator("private_jwt_signing_key")
    @classmethod
    def _a_private_key(cls, value: SecretStr) -> SecretStr:
        bits = load_private_key(value.get_secret_value()).key_size
        if bits < FEWEST_BITS:
            raise ValueError(f"this RSA key has {bits} bits, which can be broken; make one with 3072 or more")
        return value

    @field_validator("flowauth_fernet_key")
    @classmethod
    def _a_fernet_key(cls, value: SecretStr) -> SecretStr:
        try:
            Fernet(value.get_secret_value())
        except ValueError:
            raise ValueError("this is not a Fernet key; `flowkit auth fernet-key` makes one") from None
        return value

    @field_validator("flowauth_trusted_proxies")
    @classmethod
    def _proxies(cls, value: str) -> str:
        _networks(value)
        return value

    @field_validator("flowauth_oidc_issuer")
    @classmethod
    def _an_issuer(cls, value: str | None) -> str | None:
        if value is not None and not is_private_way(value):
            raise ValueError(f"'{value}' is not an address that begins with https://")
        return value

    @field_validator("flowauth_url")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"'{value}' is not an address such as https://auth.example.org")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _nothing_is_wiped(self) -> Self:
        for name in ("demo_mode", "reset_flowauth_db"):
            if getattr(self, name):
                raise ValueError(
                    f"{name.upper()} is set, which emptied the database of FlowKit's FlowAuth; nothing has been "
                    "touched. Take it out; `flowkit demo` makes a demonstration in a folder of its own"
                )
        return self

    @model_validator(mode="after")
    def _whole_provider(self) -> Self:
        needed = {"flowauth_oidc_issuer", "flowauth_oidc_client_id", "flowauth_oidc_client_secret"}
        missing = sorted(name.upper() for name in needed if getattr(self, name) is None)
        if missing and len(missing) < len(needed):
            raise ValueError(f"signing in with OpenID Connect needs {' and '.join(missing)} as well")
        if not missing and self.flowauth_url is None:
            raise ValueError("signing in with OpenID Connect needs FLOWAUTH_URL as well, where the provider sends to")
        return self

    @property
    def trusted_proxies(self) -> tuple[ip.IPv4Network | ip.IPv6Network, ...]:
        """The networks of reverse proxies whose X-Forwarded-For is believed."""
        return _networks(self.flowauth_trusted_proxies)

    @property
    def secure(self) -> bool:
        """Whether people reach FlowAuth by https, so that cookies are sent by no other way."""
        return (self.flowauth_url or "").startswith("https://")

    @classmethod
    def read(cls) -> Self:
        """Read the settings; raises Refused with a sentence for each that is wrong."""
        try:
            return cls()  # pyright: ignore[reportCallIssue]  # values come from the environment
        except ValidationError as error:
            raise Refused("\n".join(complaints(error, cls))) from None
