"""A Spark session on this machine for the length of a test run: two threads, loopback only, nothing left behind.

A test run that FLOWKIT_SPARK_MASTER gives a cluster's address computes there (see spark_cluster).
"""

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.engines.absent import absent

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SETTINGS = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.default.parallelism": "2",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
}


INTERPRETED = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}
"""Of a few rows, compiling Java for each query takes half of the time. The tests on a cluster compile."""
ENVIRONMENT = {"SPARK_LOCAL_IP": "127.0.0.1", "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
"""Of every process of Spark. It would look up the machine's own name and warn, or fail, where that is no address; with
these options a short-lived Java process takes a quarter less time."""
MASTER = "FLOWKIT_SPARK_MASTER"


class NoSparkError(Exception):
    """Says what this machine lacks to start Spark."""


@contextmanager
def spark_session() -> Iterator["SparkSession"]:
    """A local Spark session that lives as long as the block; raises NoSparkError where the machine lacks the parts."""
    if importlib.util.find_spec("pyspark") is None:
        raise NoSparkError("pyspark is not installed: install flowkit[spark].")
    home = os.environ.get("JAVA_HOME")
    if not (shutil.which("java") or (home and (Path(home) / "bin" / "java").exists())):
        raise NoSparkError("this machine has no Java: run tools/install_engines.sh.")
    from pyspark.sql import SparkSession

    scratch = Path(tempfile.mkdtemp(prefix="flowkit-spark-"))
    former = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ |= ENVIRONMENT
    builder = SparkSession.builder.master(os.environ.get(MASTER, "local[2]")).appName("flowkit-tests")
    for name, value in (SETTINGS if MASTER in os.environ else SETTINGS | INTERPRETED).items():
        builder = builder.config(name, value)
    builder = builder.config("spark.sql.warehouse.dir", str(scratch / "warehouse"))
    builder = builder.config("spark.local.dir", str(scratch / "local"))
    session = builder.getOrCreate()
    try:
        session.sparkContext.setLogLevel("ERROR")
        yield session
    finally:
        session.stop()
        _end_java()
        for name, value in former.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        shutil.rmtree(scratch, ignore_errors=True)


def _end_java() -> None:
    """End the Java process, which otherwise stays as long as this one, so that a later session starts afresh."""
    from pyspark import SparkContext

    gateway = SparkContext._gateway
    if gateway is None:
        return
    gateway.shutdown()
    process = getattr(gateway, "proc", None)
    if process is not None:
        process.stdin.close()  # its sign to end
        process.wait(30)
    SparkContext._gateway = None
    SparkContext._jvm = None


@pytest.fixture(scope="session")
def spark() -> Iterator["SparkSession"]:
    """A local Spark session that lives as long as the test run."""
    running = spark_session()
    try:
        session = running.__enter__()
    except NoSparkError as lacking:
        absent(str(lacking))
    try:
        yield session
    finally:
        running.__exit__(None, None, None)
