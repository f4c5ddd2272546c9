"""What all tests share: the engines, and where the reference data lies."""

from pathlib import Path

import pytest

pytest_plugins = ["tests.engines.postgres_cluster", "tests.engines.spark_session", "tests.engines.spark_cluster"]

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def nepal():
    """A real-shaped delivery, where it lies beside the project."""
    if not (SHARED / "data" / "nepal").is_dir():
        pytest.skip("The reference delivery does not lie beside this clone.")
    return SHARED
