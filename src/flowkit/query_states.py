"""How many queries of a deployment wait and run."""

from flowkit.deployment import Deployment
from flowkit.terminal import counted


def summary(deployment: Deployment) -> str:
    """The numbers of running, waiting and failed queries, as the server recorded them."""
    import sqlalchemy as sa

    from flowmachine.server.records import open_records, queries
    from flowmachine.server.states import ERRORED, EXECUTING, QUEUED

    records = open_records(deployment.catalogue_url)
    try:
        with records.connect() as connection:
            states = sa.select(queries.c.state, sa.func.count()).group_by(queries.c.state)
            numbers = dict(connection.execute(states).tuples().all())
    finally:
        records.dispose()
    running, waiting, failed = (numbers.get(state, 0) for state in (EXECUTING, QUEUED, ERRORED))
    return f"{counted(running, 'query', 'queries')} running, {waiting} waiting, {failed} failed"
