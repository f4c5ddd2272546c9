"""A deployment: one directory that holds settings, secrets, the lake, the catalogue, stored results and reports."""

import base64
import fcntl
import json
import os
import re
import secrets as randomness
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from flowkit.errors import DeploymentError

if TYPE_CHECKING:
    from flowdb.catalogue import Catalogue
    from flowdb.lake import Lake
    from flowmachine import Session

SETTINGS = "flowkit.toml"
OWN = {"store", "name", "roles", "autoflow"}
"""Settings of the deployment itself; all others are the services' own, under their own names."""


@dataclass(frozen=True)
class Deployment:
    """A deployment directory and its settings."""

    path: Path
    name: str
    store: str
    """The lake's directory, or the URL of a PostgreSQL FlowDB that mirrors the lake."""
    roles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Scope patterns by role, for tokens."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The services' settings, by the names of their environment variables."""

    @staticmethod
    def create(path: Path, timezone: str, store: str | None = None, name: str | None = None) -> "Deployment":
        """Make a new deployment: settings, keys and an empty store.

        Raises DeploymentError or LakeError, in a sentence, where the directory is in use or the zone is unknown.
        """
        from flowdb.lake import Lake
        from flowkit_jwt_generator import generate_keypair

        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise DeploymentError(f"{path} is not empty: name a new directory for the deployment.")
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o700)
        Lake.create(path / "lake", timezone)
        if store is not None:
            from flowdb import postgres

            postgres.create(store, timezone)
        private, public = generate_keypair()
        _write_secret(path / "secrets" / "PRIVATE_JWT_SIGNING_KEY", private)
        _write_secret(path / "secrets" / "PUBLIC_JWT_SIGNING_KEY", public)
        _write_secret(path / "secrets" / "PSEUDONYM_KEY", base64.b64encode(randomness.token_bytes(32)))
        if store is not None:
            _write_secret(path / "secrets" / "FLOWDB_STORE", store.encode())
        # The settings come last: a directory that has them is a whole deployment.
        (path / SETTINGS).write_text(_TEMPLATE.format(name=json.dumps(name or path.resolve().name)))
        return Deployment.open(path)

    @staticmethod
    def open(path: Path) -> "Deployment":
        """Open a deployment; raises DeploymentError where the directory is none, or its settings are wrong."""
        try:
            told = tomllib.loads((path / SETTINGS).read_text())
        except FileNotFoundError:
            raise DeploymentError(
                f"{path.resolve()} is not a deployment: it has no {SETTINGS}. "
                "Make one with `flowkit init DIR --timezone Area/City`, or name one with --deployment."
            ) from None
        except (OSError, ValueError) as problem:
            raise DeploymentError(f"{path / SETTINGS} cannot be read: {problem}.") from None
        known = OWN | _service_settings()
        if unknown := sorted(set(told) - known):
            raise DeploymentError(f"{path / SETTINGS}: there is no setting {unknown[0]!r}. See `flowkit doctor`.")
        store = os.environ.get("FLOWDB_STORE") or _secret(path, "FLOWDB_STORE") or str(path.resolve() / "lake")
        settings = {name.upper(): str(value) for name, value in told.items() if name not in OWN}
        return Deployment(
            path.resolve(), str(told.get("name", path.resolve().name)), store, told.get("roles", {}), settings
        )

    @property
    def lake(self) -> "Lake":
        """The lake."""
        from flowdb.lake import Lake

        return Lake.open(self.path / "lake")

    @contextmanager
    def catalogue(self) -> Iterator["Catalogue"]:
        """The catalogue, open for the length of a block."""
        from flowdb.catalogue import Catalogue

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
        return base64.b64decode(self.secret("PSEUDONYM_KEY"))

    def secret(self, name: str) -> str:
        """A secret of the deployment: from /run/secrets, the environment, or its own secrets directory."""
        found = _secret(Path("/run"), name) or os.environ.get(name) or _secret(self.path, name)
        if not found:
            raise DeploymentError(
                f"The secret {name} is missing: put it back in {self.path / 'secrets' / name}, "
                f"in /run/secrets/{name}, or in the environment."
            )
        return found

    def setting(self, name: str, default: str) -> str:
        """A service's setting as the service will see it."""
        return os.environ.get(name) or self.settings.get(name) or default

    @property
    def api_url(self) -> str:
        """Where FlowAPI answers on this machine."""
        return f"http://127.0.0.1:{self.setting('FLOWAPI_PORT', '9090')}"

    def session(self) -> "Session":
        """A session on the store, in this process."""
        import flowmachine

        return flowmachine.connect(self.store)

    def token(self, user: str, roles: Sequence[str] = (), days: float = 1) -> str:
        """A token for this deployment's API; with no roles, one that allows everything.

        Raises DeploymentError for a role that the settings do not name.
        """
        from flowapi.authorisation import scopes_of_schemas
        from flowkit_jwt_generator import generate_token, load_private_key
        from flowmachine.catalogue import schemas

        every = scopes_of_schemas(schemas())
        if unknown := [role for role in roles if role not in self.roles]:
            named = ", ".join(self.roles) or "none"
            raise DeploymentError(f"There is no role {unknown[0]!r} in {SETTINGS}; it names: {named}.")
        granted = {
            role: [scope for scope in every if any(fnmatchcase(scope, pattern) for pattern in self.roles[role])]
            for role in roles
        }
        import datetime as dt

        return generate_token(
            flowapi_identifier=self.name,
            username=user,
            private_key=load_private_key(self.secret("PRIVATE_JWT_SIGNING_KEY")),
            lifetime=dt.timedelta(days=days),
            roles=granted or {"universal_role": every},
        )

    def environment(self, **more: str) -> dict[str, str]:
        """The environment that the services start with: the machine's wins over the deployment's settings."""
        return {**self.settings, **os.environ, **more}


@contextmanager
def running(deployment: Deployment) -> Iterator[IO[str]]:
    """Hold the deployment as the one that is up; raises DeploymentError where another process holds it."""
    with (deployment.path / ".up").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            raise DeploymentError(
                f"{deployment.path} is already up, as process {holder}: stop that one first, with kill {holder}."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield lock
        lock.truncate(0)


def _service_settings() -> set[str]:
    """The names of the settings of every service, which may stand in flowkit.toml."""
    from autoflow.settings import Settings as AutoFlow
    from flowapi.settings import Settings as FlowAPI
    from flowmachine.server.settings import Settings as FlowMachine

    services: tuple[Any, ...] = (FlowMachine, FlowAPI, AutoFlow)
    return {name for service in services for name in service.model_fields} - {
        "flowapi_token",
        "autoflow_db_password",
        "public_jwt_signing_key",
        "flowdb_store",
        "flowmachine_curve_secret_key",
    }


def _secret(directory: Path, name: str) -> str | None:
    try:
        return (directory / "secrets" / name).read_text().strip() or None
    except OSError:
        return None


def _write_secret(path: Path, value: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - born 0600
        file.write(value)


def valid_name(name: str) -> bool:
    """Whether a deployment may be called this: it becomes the audience of tokens."""
    return bool(re.fullmatch(r"[A-Za-z0-9_.-]{1,75}", name))


_TEMPLATE = """\
# A FlowKit deployment. Every setting may also be an environment variable or a file in /run/secrets, by the name in
# capitals; those win. `flowkit doctor` tells what is wrong.

name = {name}                 # the audience of tokens
flowapi_port = 9090
flowmachine_port = 5555
# flowapi_host = "0.0.0.0"         # to be reached from other machines; then put TLS in front
# flowmachine_memory = "4GB"
# db_connection_pool_size = 2      # questions computed at once
# flowmachine_smallest = 16        # the fewest people that a published row stands for

# Roles for `flowkit token USER --role NAME`: scopes, with * for any.
[roles]
viewer = ["get_result", "get_available_dates", "admin*:*"]
runner = ["run", "get_available_dates", "admin*:*", "nonspatial:*"]
analyst = ["run", "get_result", "get_available_dates", "admin*:*", "nonspatial:*"]
"""
