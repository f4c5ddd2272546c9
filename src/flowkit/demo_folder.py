"""The folder of a demo: a marker, written before anything else, tells it from a deployment with somebody's data.

The demo replaces cells and days and adds an administrator whose password is published: it runs nowhere else.
"""

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from flowkit.deployment import SETTINGS
from flowkit.errors import DeploymentError
from flowkit_base.files import write_whole

MARKER = ".flowkit-demo.json"


@dataclass(frozen=True)
class Marker:
    """What the marker of a demo's folder says."""

    directory: str
    """The folder that the demo made. A copy or a moved folder has another path, and may have been given real data."""
    loaded: bool = False
    """Whether its country is loaded; the demo never loads it again then."""
    people: bool = False
    """Whether FlowAuth has the demonstration users; the demo never adds them again then."""


def claim(directory: Path) -> Marker:
    """Make a folder a demo's, or return the marker of one that a demo made.

    What a demo left that was ended before it had a deployment is removed. Raises DeploymentError for any other folder
    that is not empty.
    """
    if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
        return _write(directory, Marker(str(directory.resolve())))
    marker = _read(directory)
    if marker is None:
        raise DeploymentError(
            f"{directory} was not made by this version of `flowkit demo`, which replaces cells, days of data and "
            "people: name a new folder, such as `flowkit demo demo2`. If it is the demo of an older version, whose "
            f"contents may go, remove it first: rm -r {directory}."
        )
    if marker.directory != str(directory.resolve()):
        raise DeploymentError(
            f"{directory} is the demo that was made in {marker.directory}, moved or copied: `flowkit demo` replaces "
            "data only in the folder that it made. Name a new folder, or start this one as it is with "
            f"`flowkit --deployment {directory} up`."
        )
    if not (directory / SETTINGS).exists():
        # Ended while it was made: without settings it is no deployment yet.
        for name in ("lake", "secrets"):
            shutil.rmtree(directory / name, ignore_errors=True)
    return marker


def record(directory: Path, marker: Marker, **done: bool) -> Marker:
    """Write into the marker what is done now."""
    return _write(directory, replace(marker, **done))


def _read(directory: Path) -> Marker | None:
    try:
        return Marker(**json.loads((directory / MARKER).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _write(directory: Path, marker: Marker) -> Marker:
    write_whole(directory / MARKER, json.dumps(asdict(marker)) + "\n")
    return marker
