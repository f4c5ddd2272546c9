"""The engines that other tests run on."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from tests.engines.absent import REQUIRED, absent

ROOT = Path(__file__).parents[2]


@pytest.mark.postgres
def test_scratch_databases_have_postgis_and_vanish(postgres):
    """A scratch database can have PostGIS, listens on loopback only and is gone after its block."""
    with postgres.database() as url:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE EXTENSION postgis")
            version = connection.execute("SELECT postgis_lib_version()").fetchone()
            listening = connection.execute("SHOW listen_addresses").fetchone()
        assert version
        assert listening == ("127.0.0.1",)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


@pytest.mark.postgres
def test_a_killed_test_run_leaves_no_server(postgres):
    """A test run that is killed takes its PostgreSQL with it."""
    program = (
        "import sys, time; from tests.engines.postgres_cluster import cluster\n"
        "with cluster() as c: print(c.pid, flush=True); time.sleep(60)"
    )
    run = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    server = int(next(iter(run.stdout or [])))
    assert Path(f"/proc/{server}").exists()
    root = Path(Path(f"/proc/{server}/cwd").readlink()).parent
    run.send_signal(signal.SIGKILL)
    run.wait()
    end = time.monotonic() + 10
    while _alive(server) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _alive(server)
    assert root.name.startswith("flowkit-postgres-")
    shutil.rmtree(root)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.spark
def test_spark_computes_and_passes_arrow(spark):
    """The Spark session counts, keeps instants in UTC and hands frames over by Arrow."""
    frame = spark.sql("SELECT id, timestamp'2016-01-01 00:00:00' AS at FROM range(10)").toPandas()
    assert frame["id"].sum() == 45
    assert str(frame["at"].iloc[0]) == "2016-01-01 00:00:00"
    assert spark.conf.get("spark.driver.bindAddress") == "127.0.0.1"
    assert spark.sparkContext.uiWebUrl is None


def test_lacking_engines_skip_or_fail(monkeypatch):
    """A lacking engine skips a test, and fails it where all engines are required."""
    monkeypatch.delenv(REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="no PostgreSQL"):
        absent("this machine has no PostgreSQL")
    monkeypatch.setenv(REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match="no PostgreSQL"):
        absent("this machine has no PostgreSQL")


@pytest.mark.postgres
@pytest.mark.spark
@pytest.mark.skipif(os.name != "posix", reason="a shell script")
def test_the_installer_is_quick_where_all_is_there(postgres, spark):
    """Installing the engines where all are there does nothing and says nothing wrong."""
    began = time.monotonic()
    done = subprocess.run([ROOT / "tools" / "install_engines.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) <= 1
    assert time.monotonic() - began < 5
