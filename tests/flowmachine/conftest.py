"""The engines that every kind is tested on."""

import itertools
from contextlib import ExitStack, contextmanager
from functools import cache

import pytest

from flowmachine.session import connect


@pytest.fixture(scope="session")
def new_directory(tmp_path_factory):
    """Gives a new path at each call."""
    root, numbers = tmp_path_factory.mktemp("worlds"), itertools.count()
    return lambda: root / str(next(numbers))


@pytest.fixture(scope="session")
def ask_duckdb(new_directory):
    """A session on DuckDB over a world."""
    return lambda world: world.session(new_directory(), threads=2)


@pytest.fixture(scope="session")
def ask_spark(new_directory, spark):
    """A session on Spark over a world."""
    return lambda world: connect(world.lake(new_directory()).path, engine="spark", session=spark)


@pytest.fixture(scope="session")
def ask_postgres(new_directory, postgres):
    """A session on PostgreSQL over a world."""
    with postgres_worlds(postgres, new_directory) as open_world, ExitStack() as kept:
        yield lambda world: kept.enter_context(open_world(world))


@contextmanager
def postgres_worlds(postgres, new_directory):
    """What opens a session on PostgreSQL over a world, in a database that is dropped afterwards."""
    import psycopg

    from flowdb.postgres import copy_from_lake, create

    with ExitStack() as kept:
        # The schema takes longer to make than a world to load: one empty FlowDB is the template of all.
        template = cache(lambda: _empty(kept, postgres, create))

        @contextmanager
        def open_world(world):
            with postgres.database(template=template()) as url:
                with psycopg.connect(url, autocommit=True) as connection:
                    # A template's settings are not inherited.
                    connection.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET timezone = '{world.timezone}'")
                copy_from_lake(world.lake(new_directory()), url)
                yield connect(url)

        yield open_world


def _empty(kept, postgres, create):
    url = kept.enter_context(postgres.database())
    create(url, "UTC")
    return url.rpartition("/")[2]
