"""What all tests share: the engines, and where the reference data lies."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# How long a drawn example takes is the machine's affair; a test says whether it holds.
settings.register_profile("flowkit", deadline=None)
settings.load_profile("flowkit")

pytest_plugins = [
    "tests.engines.postgres_cluster",
    "tests.engines.spark_session",
    "tests.engines.spark_cluster",
    "tests.engines.chromium",
    "tests.time_budget",
]

# Every Java process of the tests lives for seconds or minutes: compiling harder than this costs more than it saves.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")

# A shell starts what runs in the background with Ctrl-C ignored, and every process of the tests would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST = (
    "test_kinds_on_engines.py",
    "test_spark_cluster.py",
    "test_every_page.py",
    "test_people_at_work.py",
    "test_metamorphic.py",
    "test_session_store.py",
    "test_expected_rows.py",
    "test_release.py",
    "test_nothing_leaves.py",
    "test_up.py",
    "test_autoflow_on_flowkit.py",
    "test_month_unattended.py",
)
"""Files that take minutes, which come first: of several processes, one that came to such a file last would be alone."""

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def nepal():
    """A real-shaped delivery, where it lies beside the project."""
    if not (SHARED / "data" / "nepal").is_dir():
        pytest.skip("The reference delivery does not lie beside this clone.")
    return SHARED


def pytest_collection_modifyitems(items):
    """Let the longest files come first."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
