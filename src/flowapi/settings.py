"""The settings of FlowAPI, each from /run/secrets/<NAME> or else from the environment variable <NAME>."""

from pathlib import Path
from urllib.parse import urlsplit

import zmq
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from flowkit_base import settings as base
from flowkit_base.addresses import is_loopback
from flowkit_jwt_generator.keys import load_public_keys

SECRETS = base.SECRETS


def is_address(place: str) -> bool:
    """Tell an address from the name of a file."""
    return place.startswith(("http://", "https://"))


class Settings(base.Settings):
    """What an administrator sets for one FlowAPI server."""

    flowapi_key_set: str | None = Field(
        None,
        description="Key set that tokens are checked with, read again and again so that keys can change: FlowAuth's "
        "https://.../.well-known/jwks.json, or a file. Once it was read, PUBLIC_JWT_SIGNING_KEY counts no more.",
    )
    public_jwt_signing_key: SecretStr | None = Field(
        None,
        validate_default=True,
        description="RSA public key that tokens are checked with: PEM or base64 of PEM; or several in a row. "
        "Required, but for where FLOWAPI_KEY_SET is set.",
    )
    flowapi_revocations: str | None = Field(
        None,
        description="Signed list of revoked tokens, read again and again: FlowAuth's https://.../revocations/<name "
        "of this server>, or a file.",
    )
    flowapi_revocations_max_age: int | None = Field(
        None,
        ge=10,
        description="Seconds after which a revocation list is too old, and every token is refused until there is a "
        "newer one; left out, the last list counts for ever.",
    )
    flowapi_refresh_seconds: int = Field(
        60, ge=1, le=86_400, description="Seconds between readings of the key set and the revocation list."
    )
    flowapi_state: Path = Field(
        Path("flowapi-state"),
        description="Folder where the last good key set and revocation list outlive a restart.",
    )
    flowapi_identifier: str = Field(
        min_length=1, description="Name of this server; the audience that tokens must be made for."
    )
    flowmachine_host: str = Field("127.0.0.1", min_length=1, description="Host of the FlowMachine server.")
    flowmachine_port: int = Field(5555, ge=1, le=65535, description="Port of the FlowMachine server.")
    flowmachine_curve_server_key: str | None = Field(
        None, description="CURVE public key (Z85) of the FlowMachine server; the connection is then encrypted."
    )
    flowapi_curve_secret_key: SecretStr | None = Field(
        None, description="CURVE secret key (Z85) of FlowAPI, whose public half the FlowMachine server admits."
    )
    flowapi_host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    flowapi_port: int = Field(9090, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    flowapi_log_level: base.LogLevel = Field("error", description="Least level of the debug log on standard error.")
    flowapi_backend_timeout: float = Field(
        30.0, gt=0, le=3600, description="Seconds to wait for an answer of the FlowMachine server."
    )
    flowapi_max_body_bytes: int = Field(
        1_000_000, ge=1_000, le=10_000_000, description="Largest request body in bytes."
    )
    flowapi_max_connections: int = Field(
        1000,
        ge=1,
        le=100_000,
        description="Connections that may be open at once, as far as the limit of open files allows; more are closed.",
    )
    flowapi_request_seconds: float = Field(
        30.0, gt=0, le=3600, description="Seconds in which a request must have come completely, head and body."
    )
    flowapi_tls_cert: Path = Field(
        SECRETS / "cert-flowkit.pem",
        description="TLS certificate chain (PEM); HTTPS if it and the key exist.",
    )
    flowapi_tls_key: Path = Field(
        SECRETS / "key-flowkit.pem",
        description="TLS private key (PEM); HTTPS if it and the certificate exist.",
    )

    @field_validator("flowapi_key_set", "flowapi_revocations")
    @classmethod
    def _a_place(cls, value: str | None, info: ValidationInfo) -> str | None:
        if not value:
            return None
        if is_address(value):
            parts = urlsplit(value)
            if not parts.hostname or parts.username is not None:
                raise ValueError(f"'{value}' is not an address; write it as https://auth.example.org/...")
            # Who can change the keys on their way can make tokens; the list is signed, and plain HTTP will do.
            if info.field_name == "flowapi_key_set" and parts.scheme == "http" and not is_loopback(parts.hostname):
                raise ValueError("keys that come by plain HTTP cannot be believed; use https://, or a file")
        return value

    @field_validator("public_jwt_signing_key")
    @classmethod
    def _readable(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            if info.data.get("flowapi_key_set") is None:
                raise PydanticCustomError("missing", "Field required")
            return None
        load_public_keys(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _a_list_to_grow_old(self) -> "Settings":
        if self.flowapi_revocations_max_age is None:
            return self
        if self.flowapi_revocations is None:
            raise ValueError("FLOWAPI_REVOCATIONS_MAX_AGE needs FLOWAPI_REVOCATIONS, where the list is read")
        if is_address(self.flowapi_revocations) and self.flowapi_revocations_max_age <= self.flowapi_refresh_seconds:
            raise ValueError(
                "FLOWAPI_REVOCATIONS_MAX_AGE must be more than FLOWAPI_REFRESH_SECONDS, or tokens are refused between "
                "two readings"
            )
        return self

    @model_validator(mode="after")
    def _whole_tls_pair(self) -> "Settings":
        certificate, key = self.flowapi_tls_cert.is_file(), self.flowapi_tls_key.is_file()
        if certificate != key:
            present, missing = (
                (self.flowapi_tls_cert, self.flowapi_tls_key)
                if certificate
                else (self.flowapi_tls_key, self.flowapi_tls_cert)
            )
            raise ValueError(f"TLS needs a certificate and its key: {present} exists, but {missing} is missing")
        if not certificate:
            named = {"flowapi_tls_cert", "flowapi_tls_key"} & self.model_fields_set
            if named:
                name = min(named)
                raise ValueError(f"{name.upper()} names {getattr(self, name)}, which is not a file")
        return self

    @model_validator(mode="after")
    def _whole_curve_pair(self) -> "Settings":
        theirs, ours = self.flowmachine_curve_server_key, self.flowapi_curve_secret_key
        if (theirs is None) != (ours is None):
            raise ValueError("FLOWMACHINE_CURVE_SERVER_KEY and FLOWAPI_CURVE_SECRET_KEY go together: set both, or none")
        if theirs is not None and ours is not None:
            for name, key in (
                ("FLOWMACHINE_CURVE_SERVER_KEY", theirs),
                ("FLOWAPI_CURVE_SECRET_KEY", ours.get_secret_value()),
            ):
                try:
                    zmq.curve_public(key.encode())
                except (ValueError, zmq.ZMQError):
                    raise ValueError(f"{name} is not a CURVE key (40 characters of Z85)") from None
        return self

    @property
    def curve_keys(self) -> tuple[bytes, bytes] | None:
        """The FlowMachine server's public and FlowAPI's secret CURVE key; None for a plain connection."""
        if self.flowmachine_curve_server_key is None or self.flowapi_curve_secret_key is None:
            return None
        secret = self.flowapi_curve_secret_key.get_secret_value()
        return self.flowmachine_curve_server_key.encode(), secret.encode()

    @property
    def public_keys(self) -> list[rsa.RSAPublicKey]:
        """The keys of PUBLIC_JWT_SIGNING_KEY; none where the key set alone counts."""
        given = self.public_jwt_signing_key
        return load_public_keys(given.get_secret_value()) if given is not None else []

    @property
    def backend_address(self) -> str:
        """ZeroMQ address of the FlowMachine server."""
        host = f"[{self.flowmachine_host}]" if ":" in self.flowmachine_host else self.flowmachine_host
        return f"tcp://{host}:{self.flowmachine_port}"

    @property
    def tls(self) -> bool:
        """Whether the server speaks HTTPS."""
        return self.flowapi_tls_cert.is_file()
