"""A deployment's directory: where its parts are, and the settings and secrets that its services are given."""

import base64
import datetime as dt
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from flowkit.deployment import secret_files, settings
from flowkit.deployment.settings import SETTINGS
from flowkit.errors import DeploymentError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

    from flowdb.lake import Lake
    from flowdb.records import Catalogue
    from flowmachine import Session
    from flowmachine.release import Rule

PORTS = {"FLOWMACHINE_PORT": "5555", "FLOWAPI_PORT": "9090", "FLOWAUTH_PORT": "9091"}
"""The ports that a deployment listens on, and their defaults."""
ADMINISTRATOR = "admin"
"""FlowAuth's first administrator, if the settings name no other."""


@dataclass(frozen=True)
class Deployment:
    """A deployment's directory and its settings."""

    path: Path
    name: str
    store: str
    """The lake's directory, or the URL of a PostgreSQL FlowDB that mirrors the lake."""
    roles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Scope patterns by role, for tokens."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The services' settings, by the names of their environment variables."""

    @staticmethod
    def open(path: Path) -> "Deployment":
        """Open a deployment; raises DeploymentError if the directory is none, or if its settings are wrong."""
        values = settings.read(path)
        store = os.environ.get("FLOWDB_STORE") or secret_files.read(path, "FLOWDB_STORE")
        deployment = Deployment(
            path.resolve(),
            str(values.get("name", path.resolve().name)),
            store or str(path.resolve() / "lake"),
            values.get("roles", {}),
            {name.upper(): str(value) for name, value in values.items() if name not in settings.OWN},
        )
        for name in PORTS:
            deployment.port(name)
        _ = deployment.retention
        return deployment

    @property
    def lake(self) -> "Lake":
        """The lake, brought up to date if an older FlowKit made it."""
        from flowdb.lake import Lake

        return Lake.upgrade(self.path / "lake", _settle)

    @contextmanager
    def catalogue(self) -> Iterator["Catalogue"]:
        """The catalogue, open for the length of a block."""
        from flowdb.records import Catalogue

        # SQLite gives its journals the mode of the database.
        (self.path / "catalogue.db").touch(mode=0o600)
        opened = Catalogue.open(self.catalogue_url)
        try:
            yield opened
        finally:
            opened.close()

    @property
    def catalogue_url(self) -> str:
        """The catalogue's database."""
        return f"sqlite:///{self.path / 'catalogue.db'}"

    @property
    def mirrored(self) -> bool:
        """Whether the store that answers questions is a PostgreSQL that mirrors the lake."""
        return "://" in self.store

    @property
    def pseudonym_key(self) -> bytes:
        """The key that identifiers are hashed under."""
        try:
            return base64.b64decode(self.secret("PSEUDONYM_KEY"), validate=True)
        except ValueError:
            raise DeploymentError(
                "The secret PSEUDONYM_KEY is not base64: put the right one back; under another one, subscribers of new "
                "days and old ones do not match."
            ) from None

    @property
    def signing_key(self) -> "RSAPrivateKey":
        """The key that tokens are signed with."""
        from flowkit_jwt_generator import load_private_key

        try:
            return load_private_key(self.secret("PRIVATE_JWT_SIGNING_KEY"))
        except ValueError as problem:
            raise DeploymentError(f"The secret PRIVATE_JWT_SIGNING_KEY is damaged: {problem}") from None

    @property
    def checking_key(self) -> "RSAPublicKey":
        """The key that tokens are checked with."""
        from flowkit_jwt_generator import load_public_key

        try:
            return load_public_key(self.secret("PUBLIC_JWT_SIGNING_KEY"))
        except ValueError as problem:
            raise DeploymentError(f"The secret PUBLIC_JWT_SIGNING_KEY is damaged: {problem}") from None

    def secret(self, name: str) -> str:
        """A secret of the deployment: from /run/secrets, the environment, or its own secrets directory."""
        secret = self.find_secret(name)
        if not secret:
            raise DeploymentError(
                f"The secret {name} is missing: put it back in {self.path / secret_files.FOLDER / name}, "
                f"in /run/secrets/{name}, or in the environment."
            )
        return secret

    def find_secret(self, name: str) -> str | None:
        """A secret of the deployment, None if it is missing."""
        return secret_files.of_machine(name) or secret_files.read(self.path, name)

    def setting(self, name: str, default: str) -> str:
        """A service's setting as the service will see it."""
        return secret_files.of_machine(name) or self.settings.get(name) or default

    @property
    def retention(self) -> dt.timedelta:
        """How long files of replaced and withdrawn days are kept; raises DeploymentError if that is no time."""
        days = self.setting("LAKE_RETENTION_DAYS", "30")
        if not days.isdecimal() or not 0 < int(days) < 10**6:
            raise DeploymentError(
                f"LAKE_RETENTION_DAYS is {days!r}: set lake_retention_days in {self.path / SETTINGS} to a number of "
                "days, 1 or more."
            )
        return dt.timedelta(days=int(days))

    @property
    def api_url(self) -> str:
        """Where FlowAPI answers on this machine."""
        return f"http://127.0.0.1:{self.port('FLOWAPI_PORT')}"

    @property
    def auth_url(self) -> str:
        """Where FlowAuth answers on this machine."""
        return f"http://127.0.0.1:{self.port('FLOWAUTH_PORT')}"

    @property
    def has_flowauth(self) -> bool:
        """Whether people and tokens are kept by a FlowAuth of its own; deployments of older versions have none."""
        return self.other_flowauth is None and bool(self.find_secret("FLOWAUTH_FERNET_KEY"))

    @property
    def other_flowauth(self) -> str | None:
        """Where the keys of another FlowAuth are, if the settings name one in place of the deployment's own."""
        keys = self.setting("FLOWAPI_KEY_SET", "")
        own = (f"{self.auth_url}/", f"{self.setting('FLOWAUTH_URL', self.auth_url).rstrip('/')}/")
        return keys if keys and not keys.startswith(own) else None

    @property
    def administrator(self) -> str:
        """The name of FlowAuth's first administrator."""
        return self.setting("FLOWAUTH_ADMIN_USERNAME", ADMINISTRATOR)

    def port(self, name: str) -> int:
        """The port of one of PORTS; raises DeploymentError if that is no port."""
        port = self.setting(name, PORTS[name])
        if not port.isdecimal() or not 0 < int(port) < 2**16:
            raise DeploymentError(
                f"{name} is {port!r}: set {name.lower()} in {self.path / SETTINGS} to a number from 1 to 65535."
            )
        return int(port)

    def session(self) -> "Session":
        """A session on the store, in this process."""
        import flowmachine

        # Opening it brings a lake of an older FlowKit up to date.
        _ = self.lake
        return flowmachine.connect(self.store, rule=self.rule)

    @property
    def rule(self) -> "Rule":
        """What a row must satisfy to be published; raises UserError if a setting of it is wrong."""
        from flowmachine.release import Rule

        return Rule.of_deployment({name.lower(): value for name, value in self.settings.items()})

    def units(self) -> tuple[str, ...]:
        """The units that queries can name: the built-in ones, and the custom ones of the deployment."""
        from flowdb.tables import UNITS

        return tuple(dict.fromkeys([*UNITS, *sorted(set(self.lake.reference("places")["unit"].to_pylist()))]))

    def environment(self, **more: str) -> dict[str, str]:
        """The environment that the services start with: the machine's wins over the deployment's settings."""
        return {**self.settings, **os.environ, **more}


def _settle(lake: "Lake") -> None:
    # Only a lake that is brought up to date needs the libraries of geometry.
    from flowdb.reference import settling

    settling.settle(lake)
