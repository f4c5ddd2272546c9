"""The deployment that a command is about: the one that `--deployment` or FLOWKIT_DEPLOYMENT names."""

from pathlib import Path

from flowkit.deployment import Deployment

_directory = Path()


def choose(directory: Path) -> None:
    """Set the directory that the following commands are about."""
    global _directory  # noqa: PLW0603 - the one piece of state of a command line
    _directory = directory


def directory() -> Path:
    """The chosen directory, whether or not it is a deployment."""
    return _directory


def deployment() -> Deployment:
    """The chosen deployment; raises DeploymentError if the directory is none or its settings are wrong."""
    return Deployment.open(_directory)
