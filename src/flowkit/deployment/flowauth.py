"""A deployment's own FlowAuth: its secrets, its environment and its database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flowkit.deployment import secret_files
from flowkit.deployment.directory import Deployment
from flowkit.errors import DeploymentError

if TYPE_CHECKING:
    from flowauth.database import Database


@contextmanager
def database(deployment: Deployment) -> Iterator["Database"]:
    """FlowAuth's database, open for the length of a block; raises DeploymentError if it cannot be opened."""
    from flowauth.database import Database, DatabaseError

    breached = deployment.setting("FLOWAUTH_BREACHED_PASSWORDS", "")
    password = deployment.setting("FLOWAUTH_DB_PASSWORD", "")
    if not deployment.setting("DB_URI", ""):
        # SQLite gives its journals the mode of the database.
        (deployment.path / "flowauth.db").touch(mode=0o600)
    try:
        opened = Database(_database_url(deployment), password, Path(breached) if breached else None)
    except DatabaseError as problem:
        raise DeploymentError(str(problem).rstrip(".") + ".") from None
    try:
        yield opened
    finally:
        opened.close()


def add_secrets(deployment: Deployment) -> list[str]:
    """Make the secrets that FlowAuth needs and the deployment lacks; returns their names.

    Raises DeploymentError if FlowAuth's database was written with a key that is missing: no new one fits it.
    """
    missing = [name for name in secret_files.FLOWAUTH_SECRETS if not deployment.find_secret(name)]
    if not missing or deployment.other_flowauth is not None:
        return []
    import sqlalchemy as sa

    from flowauth.tables import SigningKey, User

    with database(deployment) as opened, opened.read() as session:
        if session.scalar(sa.select(SigningKey.kid).limit(1)) is not None:
            deployment.secret("FLOWAUTH_FERNET_KEY")
        if session.scalar(sa.select(User.id).where(User.is_admin).limit(1)) is not None:
            # It is of the first administrator alone, who has another password by now.
            missing = [name for name in missing if name != "FLOWAUTH_ADMIN_PASSWORD"]
    for name in missing:
        secret_files.write_flowauth(deployment.path, name)
    return missing


def is_started(deployment: Deployment) -> bool:
    """Whether there is a FlowAuth that has been started before."""
    return bool(deployment.setting("DB_URI", "")) or (deployment.path / "flowauth.db").exists()


def environment(deployment: Deployment) -> dict[str, str]:
    """The environment that FlowAuth runs in: its keys, its database, and its first administrator.

    Raises DeploymentError if a secret is missing, or if the deployment has no FlowAuth.
    """
    if deployment.other_flowauth is not None:
        raise DeploymentError(
            f"{deployment.path} has no FlowAuth of its own: administer the one whose keys are at "
            f"{deployment.other_flowauth}, or take flowapi_key_set out."
        )
    if not deployment.has_flowauth and not is_started(deployment):
        raise DeploymentError(f"{deployment.path} has no FlowAuth yet: start it with `flowkit up`, which adds one.")
    keys = ("PRIVATE_JWT_SIGNING_KEY", "FLOWAUTH_FERNET_KEY", "SECRET_KEY")
    secrets = {name: deployment.secret(name) for name in keys}
    if password := deployment.find_secret("FLOWAUTH_ADMIN_PASSWORD"):
        secrets["FLOWAUTH_ADMIN_PASSWORD"] = password
        if not secret_files.of_machine("FLOWAUTH_ADMIN_PASSWORD"):
            secrets["FLOWAUTH_ADMIN_PASSWORD_GENERATED"] = "true"  # noqa: S105
    return deployment.environment(
        DB_URI=_database_url(deployment), FLOWAUTH_ADMIN_USERNAME=deployment.administrator, **secrets
    )


def _database_url(deployment: Deployment) -> str:
    return deployment.setting("DB_URI", f"sqlite:///{deployment.path / 'flowauth.db'}")
