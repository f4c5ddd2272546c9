"""The lock of the deployment that is up."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from flowkit.deployment.directory import Deployment
from flowkit.errors import DeploymentError


@contextmanager
def running(deployment: Deployment) -> Iterator[bool]:
    """Hold the deployment as the one that is up; yields whether its last holder was ended by force.

    Raises DeploymentError if another process holds it.
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
