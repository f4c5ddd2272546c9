"""A new deployment: settings, keys and an empty store."""

import base64
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from flowkit.deployment import secret_files, settings
from flowkit.deployment.directory import Deployment
from flowkit.errors import DeploymentError


def create(path: Path, timezone: str, store: str | None = None, name: str | None = None) -> Deployment:
    """Make a new deployment in a directory that is new or empty.

    `store` is the URL of a PostgreSQL database that is to mirror the lake. Raises DeploymentError if the directory
    or the database is in use, LakeError if the zone is unknown.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise DeploymentError(f"{path} is not empty: name a new directory for the deployment.")
    return fill(path, timezone, store, name)


def fill(path: Path, timezone: str, store: str | None = None, name: str | None = None) -> Deployment:
    """Make a new deployment in a directory that holds nothing of one; parameters and errors are those of `create`."""
    from flowdb.lake import Lake
    from flowkit_jwt_generator import generate_keypair

    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    try:
        Lake.create(path / "lake", timezone)
        if store is not None:
            _make_mirror(store, timezone)
    except BaseException:
        shutil.rmtree(path / "lake", ignore_errors=True)
        with suppress(OSError):
            path.rmdir()
        raise
    private, public = generate_keypair()
    secret_files.write(path, "PRIVATE_JWT_SIGNING_KEY", private)
    secret_files.write(path, "PUBLIC_JWT_SIGNING_KEY", public)
    secret_files.write(path, "PSEUDONYM_KEY", base64.b64encode(secrets.token_bytes(32)))
    for secret in secret_files.FLOWAUTH_SECRETS:
        secret_files.write_flowauth(path, secret)
    if store is not None:
        secret_files.write(path, "FLOWDB_STORE", store.encode())
    # The settings come last: a directory that has them is a whole deployment.
    settings.write(path, name or path.resolve().name)
    return Deployment.open(path)


def _make_mirror(url: str, timezone: str) -> None:
    """Make an empty FlowDB in a PostgreSQL database; raises DeploymentError if it holds days of data."""
    from flowdb import postgres

    postgres.create(url, timezone)
    if days := {event_type: days for event_type, days in postgres.available_days(url).items() if days}:
        # A mirror withdraws what its lake does not hold, so the first load would empty the database.
        raise DeploymentError(
            f"The database of --store holds days of {' and '.join(sorted(days))} already, which this deployment would "
            "replace by its own: name an empty database."
        )
