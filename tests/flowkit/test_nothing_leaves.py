"""A whole demo under watch: where it connects to, where it listens, and what it writes of people and tokens."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from tests.flowkit.living_deployment import COMMAND, Place, environment, free_ports

IDENTIFIERS = ("msisdn", "msisdn_counterpart", "imsi", "imei", "recipient_msisdn")
TOKEN = re.compile(rb"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}")
ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
LOOPBACK = re.compile(r"127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+")
ALONE = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


def _way(trace):
    """How connections can be watched on this machine: the start of a command line, or None."""
    if shutil.which("strace"):
        watch = ["strace", "-f", "-qq", "-e", "trace=connect,bind,sendto", "-o", str(trace)]
        if subprocess.run([*watch, "true"], capture_output=True, check=False).returncode == 0:
            return watch
    alone = shutil.which("unshare") and os.geteuid() == 0
    if alone and subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0:
        return ALONE
    return None


def _cut_off(command, place, told):
    """Start a demo and kill it while its deployment is being made: the next one begins again in the same folder."""
    process = subprocess.Popen(command, env=told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not (place.path / "lake").exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (place.path / "flowkit.toml").exists(), "it was killed too late"


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A demo that ran to its end under watch: its place, what it said, and the trace of its connections."""
    folder = tmp_path_factory.mktemp("watched")
    trace = folder / "trace"
    way = _way(trace)
    if way is None:
        pytest.skip("Connections cannot be watched here: there is no strace, and no right to an empty network.")
    place = Place(folder / "demo")
    # Another may listen on the ports of a demo.
    ports = dict(zip(("FLOWAPI_PORT", "FLOWMACHINE_PORT", "FLOWAUTH_PORT"), free_ports(3), strict=True))
    command = [*COMMAND, "demo", str(place.path), "--once", "--subscribers", "600", "--days", "9"]
    _cut_off(command, place, environment(**ports))
    done = subprocess.run(
        [*way, *command],
        env=environment(**ports),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return place, done.stdout + done.stderr, trace


@pytest.fixture(scope="module")
def identifiers(watched):
    """Every identifier of a person or handset in the demo's delivery."""
    found = set()
    for file in (watched[0].path / "delivery").glob("*/*.csv"):
        header = file.open().readline().strip().split(",")
        kinds = {name: pyarrow.string() for name in IDENTIFIERS if name in header}
        if kinds:
            options = pyarrow.csv.ConvertOptions(include_columns=list(kinds), column_types=kinds)
            for column in pyarrow.csv.read_csv(file, convert_options=options).columns:
                found |= set(column.unique().to_pylist())
    found -= {None, ""}
    assert len(found) > 1000
    return found


def test_the_demo_ends_with_its_report(watched):
    """The demo says where the report, the API and the token are; the report is a PDF of more than a page's frame."""
    place, said, _ = watched
    (report,) = (place.path / "autoflow" / "outputs" / "reports").glob("*.pdf")
    content = report.read_bytes()
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    assert len(content) > 10_000
    assert f"Report  {report}\n" in said
    assert f"Token   {place.path}/secrets/demo-token.txt\n" in said
    assert "Traceback" not in said


def test_no_connection_leaves_the_machine(watched):
    """From delivery to report, every address that is connected to or listened on is this machine's own."""
    trace = watched[2]
    if not trace.exists():
        # It ran, to its end, where there is no other address: that is the proof.
        return
    met = [one or other for one, other in ADDRESS.findall(trace.read_text(errors="replace"))]
    assert len(met) > 10, "the watch saw nothing"
    assert {address for address in met if not LOOPBACK.fullmatch(address)} == set()


def test_no_token_is_written_anywhere(watched):
    """Tokens are in the secrets and nowhere else: no output, log, notebook, record or report holds one."""
    place, said, _ = watched
    token = (place.path / "secrets" / "demo-token.txt").read_bytes()
    assert TOKEN.fullmatch(token)
    assert not TOKEN.search(said.encode())
    files = [f for f in place.path.rglob("*") if f.is_file() and f.parent.name != "secrets"]
    assert len(files) > 50
    assert [f for f in files if TOKEN.search(f.read_bytes())] == []


def test_no_identifier_leaves_the_delivery(watched, identifiers):
    """No telephone number, IMSI or IMEI of the delivery is in the lake, the cache, a log, a record or a report."""
    place, said, _ = watched
    files = [f for f in place.path.rglob("*") if f.is_file() and not f.is_relative_to(place.path / "delivery")]
    assert {"flowapi.log", "flowmachine.log", "catalogue.db", "autoflow.db"} <= {f.name for f in files}
    assert [f for f in files if f.is_relative_to(place.path / "cache") and f.suffix == ".parquet"]
    assert not identifiers & set(re.findall(r"\d{8,20}", said))
    for file in files:
        assert not identifiers & _numbers(file), file


def _numbers(file: Path) -> set[str]:
    """The long numbers that stand in a file."""
    if file.suffix == ".parquet":
        found = set()
        for column in pq.read_table(file, partitioning=None).columns:
            if not pyarrow.types.is_nested(column.type):
                found |= {str(value) for value in column.unique().to_pylist()}
        return found
    return {number.decode() for number in re.findall(rb"\d{8,20}", file.read_bytes())}
