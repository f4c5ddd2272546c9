"""A deployment: one directory that holds settings, secrets, the lake, the catalogue, stored results and reports."""

import base64
import fcntl
import json
import os
import re
import secrets as randomness
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowkit.errors import DeploymentError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

    from flowauth.database import Database
    from flowdb.catalogue import Catalogue
    from flowdb.lake import Lake
    from flowmachine import Session

SETTINGS = "flowkit.toml"
OWN = {"store", "name", "roles", "autoflow"}
"""Settings of the deployment itself; all others are the services' own, under their own names."""
PORTS = {"FLOWMACHINE_PORT": "5555", "FLOWAPI_PORT": "9090", "FLOWAUTH_PORT": "9091"}
"""The ports that a deployment listens on, and their defaults."""

ADMINISTRATOR = "admin"
"""FlowAuth's first administrator, where the settings name no other."""
FLOWAUTH_SECRETS: Mapping[str, Callable[[], bytes]] = {
    "FLOWAUTH_FERNET_KEY": lambda: base64.urlsafe_b64encode(randomness.token_bytes(32)),
    "SECRET_KEY": lambda: randomness.token_urlsafe(32).encode(),
    "FLOWAUTH_ADMIN_PASSWORD": lambda: randomness.token_urlsafe(15).encode(),
}
"""The secrets that FlowAuth alone needs, and how each is made."""


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
        try:
            Lake.create(path / "lake", timezone)
        except Exception:
            path.rmdir()
            raise
        if store is not None:
            from flowdb import postgres

            postgres.create(store, timezone)
        private, public = generate_keypair()
        _write_secret(path / "secrets" / "PRIVATE_JWT_SIGNING_KEY", private)
        _write_secret(path / "secrets" / "PUBLIC_JWT_SIGNING_KEY", public)
        _write_secret(path / "secrets" / "PSEUDONYM_KEY", base64.b64encode(randomness.token_bytes(32)))
        for secret, made in FLOWAUTH_SECRETS.items():
            _write_secret(path / "secrets" / secret, made())
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
        _check(path / SETTINGS, told)
        store = os.environ.get("FLOWDB_STORE") or _secret(path, "FLOWDB_STORE") or str(path.resolve() / "lake")
        settings = {name.upper(): str(value) for name, value in told.items() if name not in OWN}
        opened = Deployment(
            path.resolve(), str(told.get("name", path.resolve().name)), store, told.get("roles", {}), settings
        )
        for name in PORTS:
            opened.port(name)
        return opened

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

    @contextmanager
    def flowauth(self) -> Iterator["Database"]:
        """FlowAuth's database, open for the length of a block; raises DeploymentError where it cannot be."""
        from flowauth.database import Database, DatabaseError

        listed = self.setting("FLOWAUTH_BREACHED_PASSWORDS", "")
        try:
            opened = Database(
                self._flowauth_uri, self.setting("FLOWAUTH_DB_PASSWORD", ""), Path(listed) if listed else None
            )
        except DatabaseError as problem:
            raise DeploymentError(str(problem).rstrip(".") + ".") from None
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
        found = self._found(name)
        if not found:
            raise DeploymentError(
                f"The secret {name} is missing: put it back in {self.path / 'secrets' / name}, "
                f"in /run/secrets/{name}, or in the environment."
            )
        return found

    def _found(self, name: str) -> str | None:
        return self._given(name) or _secret(self.path, name)

    @staticmethod
    def _given(name: str) -> str | None:
        """A secret that the machine gives, in place of the deployment's own."""
        return _secret(Path("/run"), name) or os.environ.get(name)

    def setting(self, name: str, default: str) -> str:
        """A service's setting as the service will see it."""
        return self._given(name) or self.settings.get(name) or default

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
        """Whether people and tokens are kept by a FlowAuth of its own; a deployment of before has none."""
        return self.other_flowauth is None and bool(self._found("FLOWAUTH_FERNET_KEY"))

    @property
    def other_flowauth(self) -> str | None:
        """Where the keys of the FlowAuth are that is set instead of one of the deployment's own, if any is."""
        keys = self.setting("FLOWAPI_KEY_SET", "")
        own = (f"{self.auth_url}/", f"{self.setting('FLOWAUTH_URL', self.auth_url).rstrip('/')}/")
        return keys if keys and not keys.startswith(own) else None

    def add_flowauth(self) -> list[str]:
        """Make the secrets that FlowAuth needs and the deployment lacks, and name them; none where it has them all.

        Raises DeploymentError where FlowAuth's database was written with a key that is missing: no new one fits it.
        """
        missing = [name for name in FLOWAUTH_SECRETS if not self._found(name)]
        if not missing or self.other_flowauth is not None:
            return []
        import sqlalchemy as sa

        from flowauth.tables import SigningKey, User

        with self.flowauth() as database, database.read() as session:
            if session.scalar(sa.select(SigningKey.kid).limit(1)) is not None:
                self.secret("FLOWAUTH_FERNET_KEY")
            if session.scalar(sa.select(User.id).where(User.is_admin).limit(1)) is not None:
                # It is of the first administrator alone; whoever has taken the file away has a password by now.
                missing = [name for name in missing if name != "FLOWAUTH_ADMIN_PASSWORD"]
        for name in missing:
            _write_secret(self.path / "secrets" / name, FLOWAUTH_SECRETS[name]())
        return missing

    def port(self, name: str) -> int:
        """The port of one of PORTS; raises DeploymentError where that is no port."""
        told = self.setting(name, PORTS[name])
        if not told.isdecimal() or not 0 < int(told) < 2**16:
            raise DeploymentError(
                f"{name} is {told!r}: set {name.lower()} in {self.path / SETTINGS} to a number from 1 to 65535."
            )
        return int(told)

    def session(self) -> "Session":
        """A session on the store, in this process."""
        import flowmachine

        return flowmachine.connect(self.store)

    def units(self) -> tuple[str, ...]:
        """The units that questions can name: those that have a meaning everywhere, and the deployment's own."""
        from flowdb.tables import UNITS

        return tuple(dict.fromkeys([*UNITS, *sorted(set(self.lake.reference("places")["unit"].to_pylist()))]))

    def scopes(self) -> list[str]:
        """What a token for this deployment's API can permit, as the API's document says it."""
        from flowapi.authorisation import scopes_of_schemas
        from flowmachine.catalogue import schemas

        return scopes_of_schemas(schemas(self.units()))

    def token(self, user: str, roles: Sequence[str] = (), days: float = 1) -> str:
        """A token for this deployment's API; with no roles, one that allows everything.

        Raises DeploymentError for a role that the settings do not name.
        """
        from flowkit_jwt_generator import generate_token

        if unknown := [role for role in roles if role not in self.roles]:
            named = ", ".join(self.roles) or "none"
            raise DeploymentError(f"There is no role {unknown[0]!r} in {SETTINGS}; it names: {named}.")
        # What is wrong with the key is told before what is wrong with the lake.
        key = self.signing_key
        every = self.scopes()
        granted = {
            role: [scope for scope in every if any(fnmatchcase(scope, pattern) for pattern in self.roles[role])]
            for role in roles
        }
        import datetime as dt

        def made(key: "RSAPrivateKey") -> str:
            return generate_token(
                flowapi_identifier=self.name,
                username=user,
                private_key=key,
                lifetime=dt.timedelta(days=days),
                roles=granted or {"universal_role": every},
            )

        return self._listed(user, made) if self.has_flowauth and self._has_begun else made(key)

    @property
    def _has_begun(self) -> bool:
        """Whether there is a FlowAuth that has been started before."""
        return bool(self.setting("DB_URI", "")) or (self.path / "flowauth.db").exists()

    def _listed(self, user: str, made: Callable[["RSAPrivateKey"], str]) -> str:
        """A token that FlowAuth signs and lists, so that its key stays published while the token lives."""
        import sqlalchemy as sa

        from flowauth.errors import Refused
        from flowauth.services import keys, tokens
        from flowauth.tables import Server

        told = self.flowauth_environment()
        try:
            with self.flowauth() as database, database.write() as session:
                vault = keys.Vault(told["FLOWAUTH_FERNET_KEY"])
                keys.admit(session, vault, told["PRIVATE_JWT_SIGNING_KEY"])
                kid, key = keys.signing(session, vault)
                text = made(key)
                server = session.scalar(sa.select(Server).where(Server.name == self.name))
                if server is not None:
                    tokens.note(session, "flowkit token", server, user, text, kid)
        except Refused as refused:
            raise DeploymentError(refused.message) from None
        return text

    def flowauth_environment(self) -> dict[str, str]:
        """The environment that FlowAuth runs in: its keys, its database, and its first administrator.

        Raises DeploymentError where a secret is missing.
        """
        if self.other_flowauth is not None:
            raise DeploymentError(
                f"{self.path} has no FlowAuth of its own: administer the one whose keys are at {self.other_flowauth}, "
                "or take flowapi_key_set out."
            )
        if not self.has_flowauth and not self._has_begun:
            raise DeploymentError(f"{self.path} has no FlowAuth yet: start it with `flowkit up`, which adds one.")
        told = {name: self.secret(name) for name in ("PRIVATE_JWT_SIGNING_KEY", "FLOWAUTH_FERNET_KEY", "SECRET_KEY")}
        if password := self._found("FLOWAUTH_ADMIN_PASSWORD"):
            told["FLOWAUTH_ADMIN_PASSWORD"] = password
            if not self._given("FLOWAUTH_ADMIN_PASSWORD"):
                told |= {"FLOWAUTH_ADMIN_PASSWORD_GENERATED": "true"}
        return self.environment(DB_URI=self._flowauth_uri, FLOWAUTH_ADMIN_USERNAME=self.administrator, **told)

    @property
    def administrator(self) -> str:
        """The name of FlowAuth's first administrator."""
        return self.setting("FLOWAUTH_ADMIN_USERNAME", ADMINISTRATOR)

    @property
    def _flowauth_uri(self) -> str:
        return self.setting("DB_URI", f"sqlite:///{self.path / 'flowauth.db'}")

    def environment(self, **more: str) -> dict[str, str]:
        """The environment that the services start with: the machine's wins over the deployment's settings."""
        return {**self.settings, **os.environ, **more}


@contextmanager
def running(deployment: Deployment) -> Iterator[bool]:
    """Hold the deployment as the one that is up; yields whether its last holder was cut off.

    Raises DeploymentError where another process holds it.
    """
    with (deployment.path / ".up").open("a+") as lock:
        lock.seek(0)
        holder = lock.read().strip()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DeploymentError(
                f"{deployment.path} is already up, as process {holder}: stop that one first, with kill {holder}."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            yield bool(holder)
        finally:
            lock.truncate(0)


_SECRET = {
    "flowapi_token",
    "autoflow_db_password",
    "public_jwt_signing_key",
    "private_jwt_signing_key",
    "flowauth_fernet_key",
    "secret_key",
    "flowauth_admin_password",
    "flowauth_db_password",
    "flowauth_oidc_client_secret",
    "flowdb_store",
    "flowmachine_curve_secret_key",
    "flowapi_curve_secret_key",
}


def _check(file: Path, told: Mapping[str, Any]) -> None:
    """Raise DeploymentError where settings are wrong; what only a service can judge, it says when it starts."""
    left, known = set(told) - OWN, set(OWN)
    # The light modules come first, and the heavy ones are imported only for settings that are not the light ones'.
    for service in ("flowapi.settings", "autoflow.settings", "flowauth.settings", "flowmachine.server.settings"):
        if not left:
            break
        names = set(import_module(service).Settings.model_fields) - _SECRET
        left, known = left - names, known | names
    if left:
        unknown = min(left)
        if unknown in _SECRET:
            raise DeploymentError(
                f"{file}: {unknown} is a secret: take it out, and set it in /run/secrets/{unknown.upper()} "
                "or in the environment."
            )
        alike = get_close_matches(unknown, known, 1)
        raise DeploymentError(
            f"{file}: there is no setting {unknown!r}"
            + (f"; perhaps {alike[0]} is meant." if alike else ": take it out.")
        )
    if not valid_name(str(told.get("name", file.resolve().parent.name))):
        raise DeploymentError(f"{file}: set name to letters, digits and _.- only; it is the audience of tokens.")
    roles = told.get("roles", {})
    for role, scopes in roles.items() if isinstance(roles, dict) else [("roles", None)]:
        if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
            raise DeploymentError(f'{file}: {role} under [roles] is not a list of scopes, such as ["run", "admin3:*"].')
    for name, value in told.items():
        if name not in OWN and isinstance(value, dict | list):
            raise DeploymentError(f"{file}: {name} is one value, not several.")


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
flowauth_port = 9091
# flowauth_url = "https://auth.example.org"   # where people reach FlowAuth through the TLS proxy in front of it
# flowapi_host = "0.0.0.0"         # to be reached from other machines; then put TLS in front
# flowmachine_memory = "4GB"
# db_connection_pool_size = 2      # questions computed at once
# flowmachine_smallest = 16        # the fewest people that a published row stands for

# Roles for `flowkit token USER --role NAME`: scopes, with * for any. FlowAuth has them too, from its first start on.
[roles]
viewer = ["get_result", "get_available_dates", "admin*:*", "nonspatial:subscriber_subset:*"]
runner = ["run", "get_available_dates", "admin*:*", "nonspatial:*"]
analyst = ["run", "get_result", "get_available_dates", "admin*:*", "nonspatial:*"]
"""
