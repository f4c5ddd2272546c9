"""The checks of `flowkit doctor`: each returns a sentence with the way out, or None if all is well."""

import shutil
import stat
import urllib.error
import urllib.request
from contextlib import suppress

from flowdb.tables import POINTS
from flowkit import unknown_cells
from flowkit.deployment import Deployment, autoflow, flowauth
from flowkit.errors import DeploymentError

_ENOUGH_DISK = 2 * 10**9
_FEW_UNKNOWN = 0.05
"""The share of events at cells that are not loaded which networks have anyway."""


def is_up(deployment: Deployment) -> bool:
    """Whether the deployment's API answers, and the server behind it."""
    url = f"{deployment.api_url}/api/0/health"
    with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310
        return answer.status == 200 and _answering(deployment) == deployment.name
    return False


def _answering(deployment: Deployment) -> str | None:
    """The name of the deployment whose API answers at this one's port; None if none does."""
    from flowkit_jwt_generator import ServerSpecError, get_audience_from_flowapi

    try:
        return get_audience_from_flowapi(deployment.api_url)
    except ServerSpecError:
        return None


def secrets_are_kept(deployment: Deployment) -> str | None:
    """All secrets exist, and only their owner can read them."""
    try:
        for name in ("PRIVATE_JWT_SIGNING_KEY", "PUBLIC_JWT_SIGNING_KEY", "PSEUDONYM_KEY"):
            deployment.secret(name)
        if deployment.has_flowauth:
            flowauth.environment(deployment)
    except DeploymentError as problem:
        return str(problem)
    for file in (deployment.path / "secrets").iterdir():
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            return f"{file} can be read by others: chmod 600 {file}"
    return None


def directory_is_private(deployment: Deployment) -> str | None:
    """Only its owner can open the deployment's directory."""
    if stat.S_IMODE(deployment.path.stat().st_mode) & 0o077:
        return f"{deployment.path} can be opened by others, who see logs and stored rows: chmod 700 {deployment.path}"
    return None


def keys_fit(deployment: Deployment) -> str | None:
    """The public key checks what the private key signs."""
    try:
        fit = deployment.signing_key.public_key() == deployment.checking_key
    except DeploymentError as problem:
        return str(problem)
    if not fit:
        return (
            "PUBLIC_JWT_SIGNING_KEY is not of PRIVATE_JWT_SIGNING_KEY: put the pair that belongs together in secrets."
        )
    return None


def boundaries_and_cells_are_loaded(deployment: Deployment) -> str | None:
    """Boundaries and cells are loaded, and cells lie in units."""
    lake = deployment.lake
    if lake.reference("geography").num_rows == 0:
        return "There are no boundaries: flowkit geography load FILE --unit admin3 --code FIELD --name FIELD"
    if lake.reference("cells").num_rows == 0:
        return "There are no cells: flowkit cells load FILE"
    units = set(lake.reference("cell_units")["unit"].to_pylist()) - {*POINTS}
    if not units:
        return "No cell lies in any unit: longitude and latitude may be swapped; see --map of flowkit cells load."
    return None


def cells_of_events_are_loaded(deployment: Deployment) -> str | None:
    """The cells that events name are loaded."""
    unknown = [day for day in unknown_cells.newest_days(deployment) if day.share > _FEW_UNKNOWN]
    if not unknown:
        return None
    return f"{'; '.join(map(str, unknown))}: load the cells of the whole network with flowkit cells load FILE."


def days_are_complete(deployment: Deployment) -> str | None:
    """Days of data are loaded, with no gap between the first and the last."""
    snapshot = deployment.lake.snapshot()
    if not snapshot.days:
        return "There is no data: flowkit ingest calls FILE..."
    for event_type, days in sorted(snapshot.days.items()):
        dates = sorted(days)
        if len(dates) != (dates[-1] - dates[0]).days + 1:
            return f"Days of {event_type} are missing between {dates[0]} and {dates[-1]}: see flowkit etl status."
    return None


def disk_has_room(deployment: Deployment) -> str | None:
    """The disk has room."""
    free = shutil.disk_usage(deployment.path).free
    if free < _ENOUGH_DISK:
        return f"Only {free / 10**9:.1f} GB are free on the disk of {deployment.path}: make room."
    return None


def services_answer(deployment: Deployment) -> str | None:
    """The API answers, and FlowAuth if the deployment has one."""
    if is_up(deployment):
        if not deployment.has_flowauth or _flowauth_answers(deployment):
            return None
        return f"{deployment.auth_url} does not answer: see {deployment.path / 'logs' / 'flowauth.log'}."
    other = _answering(deployment)
    if other not in (None, deployment.name):
        return f"Another deployment, {other}, answers at {deployment.api_url}: set flowapi_port in flowkit.toml."
    return f"{deployment.api_url} does not answer: flowkit up; the logs are in {deployment.path / 'logs'}."


def _flowauth_answers(deployment: Deployment) -> bool:
    url = f"{deployment.auth_url}/health"
    with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310
        return answer.status == 200
    return False


def workflows_run(deployment: Deployment) -> str | None:
    """AutoFlow's workflows can run, and no run was given up."""
    return autoflow.problem(deployment)


CHECKS = (
    directory_is_private,
    secrets_are_kept,
    keys_fit,
    boundaries_and_cells_are_loaded,
    cells_of_events_are_loaded,
    days_are_complete,
    disk_has_room,
    workflows_run,
    services_answer,
)
