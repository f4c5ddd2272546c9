"""A standalone Spark cluster on this machine: a master and two workers, on loopback, from the pyspark wheel.

They are processes of their own, and so are the executors that the workers start: what a driver does not send them, or
they do not send it, the other does not have. The kernel stops them should the test run be killed.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from tests.engines.absent import absent
from tests.engines.spark_session import ENVIRONMENT, NoSparkError

WORKERS = 2


@contextmanager
def spark_cluster() -> Iterator[str]:
    """A cluster that lives as long as the block: its address; raises NoSparkError where the machine lacks the parts."""
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        raise NoSparkError("pyspark is not installed: install flowkit[spark].")
    home = os.environ.get("JAVA_HOME")
    if not (shutil.which("java") or (home and (Path(home) / "bin" / "java").exists())):
        raise NoSparkError("this machine has no Java: run tools/install_engines.sh.")
    spark = Path(found.origin).parent
    scratch = Path(tempfile.mkdtemp(prefix="flowkit-cluster-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"spark://127.0.0.1:{port}"
    deploy = "org.apache.spark.deploy"
    with ExitStack() as held:
        held.callback(shutil.rmtree, scratch, ignore_errors=True)
        start = ["bash", str(spark / "bin" / "spark-class")]
        place = ["--host", "127.0.0.1", "--webui-port", "0"]
        _start(held, spark, scratch, "master", [*start, f"{deploy}.master.Master", *place, "--port", str(port)])
        _wait(scratch / "master.log", "I have been elected leader")
        for n in range(WORKERS):
            share = ["--cores", "1", "--memory", "1g", "--work-dir", str(scratch / f"work{n}")]
            _start(held, spark, scratch, f"worker{n}", [*start, f"{deploy}.worker.Worker", *place, *share, address])
        for n in range(WORKERS):
            _wait(scratch / f"worker{n}.log", "Successfully registered with master")
        yield address


def _start(held: ExitStack, spark: Path, scratch: Path, name: str, command: list[str]) -> None:
    setpriv = shutil.which("setpriv")
    with (scratch / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [*([setpriv, "--pdeathsig=TERM"] if setpriv else []), *command],
            env={
                **os.environ,
                **ENVIRONMENT,
                "SPARK_HOME": str(spark),
                "SPARK_DAEMON_MEMORY": "256m",
                "SPARK_LOCAL_DIRS": str(scratch / f"{name}-local"),
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    held.callback(_stop, process)


def _wait(log: Path, told: str, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while told not in log.read_text():
        if time.monotonic() > until:
            raise NoSparkError(f"the Spark cluster did not start: {log.read_text().strip().splitlines()[-1:]}")
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        process.send_signal(sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
            return


@pytest.fixture(scope="session")
def cluster_address() -> Iterator[str]:
    """The address of a Spark cluster that lives as long as the test run."""
    running = spark_cluster()
    try:
        address = running.__enter__()
    except NoSparkError as lacking:
        absent(str(lacking))
    try:
        yield address
    finally:
        running.__exit__(None, None, None)
