"""flowkit.toml: what a deployment's settings may be, and the file of a new deployment."""

import json
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from flowkit.errors import DeploymentError
from flowkit_base.files import write_whole

SETTINGS = "flowkit.toml"
OWN = {"store", "name", "roles", "autoflow"}
"""Settings of the deployment itself; all others are the services' own, under their own names."""
OF_LAKE = {"lake_retention_days"}
"""Settings of the lake, which no service has."""
SECRET = {
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
"""Settings of services that must not stand in the file."""
TEMPLATE = """\
# A FlowKit deployment. Every setting may also be an environment variable or a file in /run/secrets, by the name in
# capitals; those win. `flowkit doctor` says what is wrong.

name = {name}                 # the audience of tokens
flowapi_port = 9090
flowmachine_port = 5555
flowauth_port = 9091
# flowauth_url = "https://auth.example.org"   # where people reach FlowAuth through the TLS proxy in front of it
# flowapi_host = "0.0.0.0"         # to be reached from other machines; then put TLS in front
# flowmachine_memory = "4GB"
# db_connection_pool_size = 2      # queries computed at once
# lake_retention_days = 30         # how long files of replaced and withdrawn days are kept
# flowmachine_smallest = 16        # the fewest people that a published row stands for

# Roles for `flowkit token USER --role NAME`: scopes, with * for any. FlowAuth has them too, from its first start on.
[roles]
viewer = ["get_result", "get_available_dates", "admin*:*", "nonspatial:subscriber_subset:*"]
runner = ["run", "get_available_dates", "admin*:*", "nonspatial:*"]
analyst = ["run", "get_result", "get_available_dates", "admin*:*", "nonspatial:*"]
"""


def valid_name(name: str) -> bool:
    """Whether a deployment may be called this: it becomes the audience of tokens."""
    return bool(re.fullmatch(r"[A-Za-z0-9_.-]{1,75}", name))


def write(directory: Path, name: str) -> None:
    """Write the settings of a new deployment of this name."""
    write_whole(directory / SETTINGS, TEMPLATE.format(name=json.dumps(name)))


def read(directory: Path) -> dict[str, Any]:
    """The settings in a deployment's file.

    Raises DeploymentError if the directory has none, or if they are wrong; what only a service can judge, it says
    when it starts.
    """
    file = directory / SETTINGS
    try:
        settings = tomllib.loads(file.read_text())
    except FileNotFoundError:
        raise DeploymentError(
            f"{directory.resolve()} is not a deployment: it has no {SETTINGS}. "
            "Make one with `flowkit init DIR --timezone Area/City`, or name one with --deployment."
        ) from None
    except (OSError, ValueError) as problem:
        raise DeploymentError(f"{file} cannot be read: {problem}.") from None
    _check_names(file, settings)
    if not valid_name(str(settings.get("name", file.resolve().parent.name))):
        raise DeploymentError(f"{file}: set name to letters, digits and _.- only; it is the audience of tokens.")
    _check_roles(file, settings.get("roles", {}))
    for name, value in settings.items():
        if name not in OWN and isinstance(value, dict | list):
            raise DeploymentError(f"{file}: {name} is one value, not several.")
    return settings


def _check_names(file: Path, settings: Mapping[str, Any]) -> None:
    left, known = set(settings) - OWN - OF_LAKE, OWN | OF_LAKE
    # The light modules come first, and the heavy ones are imported only for settings that are not the light ones'.
    for service in ("flowapi.settings", "autoflow.settings", "flowauth.settings", "flowmachine.server.settings"):
        if not left:
            return
        names = set(import_module(service).Settings.model_fields) - SECRET
        left, known = left - names, known | names
    if not left:
        return
    unknown = min(left)
    if unknown in SECRET:
        raise DeploymentError(
            f"{file}: {unknown} is a secret: take it out, and set it in /run/secrets/{unknown.upper()} "
            "or in the environment."
        )
    alike = get_close_matches(unknown, known, 1)
    raise DeploymentError(
        f"{file}: there is no setting {unknown!r}" + (f"; perhaps {alike[0]} is meant." if alike else ": take it out.")
    )


def _check_roles(file: Path, roles: Any) -> None:
    for role, scopes in roles.items() if isinstance(roles, dict) else [("roles", None)]:
        if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
            raise DeploymentError(f'{file}: {role} under [roles] is not a list of scopes, such as ["run", "admin3:*"].')
