"""The PostgreSQL database that mirrors a deployment's lake."""

from collections.abc import Sequence

from flowkit.deployment import Deployment


def update(deployment: Deployment, event_types: Sequence[str] = ()) -> None:
    """Copy the reference tables and these event types from the lake to its mirror, if it has one."""
    if deployment.mirrored:
        from flowdb import postgres

        postgres.copy_from_lake(deployment.lake, deployment.store, list(event_types))
