"""Deployments as a user has them: made, filled, started and asked through the command line, in processes of its own."""

import atexit
import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from flowdb.lake import Lake

COMMAND = [sys.executable, "-m", "flowkit"]
EVENT_TYPES = ("calls", "sms", "mds", "topups")
LEVELS = ("admin0", "admin1", "admin2", "admin3")
DAYS = [f"2016-01-0{n}" for n in range(1, 9)]
SUBSCRIBERS = 600


def environment(**changes: object) -> dict[str, str]:
    """The environment of a user who has set nothing of FlowKit's, with changes."""
    ours = (
        "FLOW",
        "CACHE_",
        "DB_CONN",
        "AUTOFLOW_",
        "PUBLIC_JWT",
        "PRIVATE_JWT",
        "PSEUDONYM",
        "DB_URI",
        "SECRET_KEY",
        "COLUMNS",
        "COV_",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith((*ours, "PYTHON"))}
    return {**kept, "PYTHONPYCACHEPREFIX": _bytecode(), **{name: str(value) for name, value in changes.items()}}


@functools.cache
def _bytecode() -> str:
    # Dozens of processes import the same modules: where these are not compiled, compiling is most of the time.
    folder = tempfile.mkdtemp(prefix="flowkit-bytecode-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def free_ports(number: int) -> list[int]:
    """Different ports of the loopback that nobody listens on."""
    probes = [socket.socket() for _ in range(number)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def flowkit(*arguments: object, text: str | None = None, seconds: float = 120, cwd: Path | None = None, **changes: str):
    """Run a command to its end: its exit code and what it wrote."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        capture_output=True,
        text=True,
        timeout=seconds,
        env=environment(**changes),
        cwd=cwd,
        check=False,
    )


def refused(done: subprocess.CompletedProcess, code: int = 1) -> str:
    """The sentence that a command refused with; it is one line on standard error, without a traceback."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    lines = done.stderr.strip().splitlines()
    if code == 1:
        assert len(lines) == 1, done.stderr
        assert lines[0].startswith("Error: "), done.stderr
        assert lines[0].endswith("."), done.stderr
    return " ".join(lines)


def descendants(pid: int) -> dict[int, str]:
    """The processes below a process, by id, with their command lines."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int(re.search(r"^PPid:\t(\d+)", (entry / "status").read_text(), re.MULTILINE).group(1))
            except (OSError, AttributeError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = {}, [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found[child] = command_line(child)
            waiting.append(child)
    return found


def command_line(pid: int) -> str:
    """The command line of a process; empty where it is no more, or only waits to be buried."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def gone(processes: dict[int, str], seconds: float = 20) -> bool:
    """Whether all processes end within some seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(command_line(pid) == line for pid, line in processes.items()):
            return True
        time.sleep(0.1)
    return False


@dataclass
class Place:
    """A deployment's directory, and the command line in it."""

    path: Path

    def flowkit(self, *arguments: object, **options):
        """Run a command on the deployment."""
        return flowkit("--deployment", self.path, *arguments, **options)

    def done(self, *arguments: object, **options) -> str:
        """What a command that succeeds says on standard output."""
        done = self.flowkit(*arguments, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def token(self, *arguments: object) -> str:
        """A token as `flowkit token` prints it."""
        return self.done("token", *arguments).strip()

    def set(self, **settings: object) -> None:
        """Change settings, in flowkit.toml as a person does."""
        file = self.path / "flowkit.toml"
        lines = [line for line in file.read_text().splitlines() if line.split("=")[0].strip() not in settings]
        told = [f"{name} = {value}" for name, value in settings.items()]
        file.write_text("\n".join([*told, *lines]) + "\n")

    @property
    def lake(self) -> Lake:
        """The deployment's lake."""
        return Lake.open(self.path / "lake")

    @property
    def held(self) -> tuple:
        """What the deployment holds: the versions of all days and of all that is about places."""
        snapshot = self.lake.snapshot()
        days = {(t, str(day)): stored.rows for t, of_type in snapshot.days.items() for day, stored in of_type.items()}
        return days, str(snapshot.reference_versions())

    def texts(self) -> dict[Path, str]:
        """The text of every log of the deployment."""
        return {file: file.read_text(errors="replace") for file in (self.path / "logs").glob("*.log")}


class Up:
    """A deployment that is up: a real `flowkit up`."""

    def __init__(
        self, place: Place, wait: bool = True, ports: tuple[int, int, int] | None = None, **changes: str
    ) -> None:
        self.place = place
        flowapi, flowmachine, flowauth = ports or free_ports(3)
        place.set(flowapi_port=flowapi, flowmachine_port=flowmachine, flowauth_port=flowauth)
        self.url = f"http://127.0.0.1:{flowapi}"
        self.auth_url = f"http://127.0.0.1:{flowauth}"
        self.flowmachine_port = flowmachine
        self.changes = changes
        self.start(wait)

    def start(self, wait: bool = True) -> None:
        """Start it, and wait until it says that it is up."""
        self._said = self.place.path / "up.out"
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                [*COMMAND, "--deployment", str(self.place.path), "up"],
                stdout=said,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment(**self.changes),
            )
        if wait:
            until = time.monotonic() + 90
            while " is up at " not in self.said:
                assert self.process.poll() is None, self.said + str(self.place.texts())
                assert time.monotonic() < until, self.said + str(self.place.texts())
                time.sleep(0.1)

    @property
    def said(self) -> str:
        """What it printed."""
        return self._said.read_text()

    def service(self, module: str) -> int:
        """The process id of a service, by its module."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            for pid, line in descendants(self.process.pid).items():
                if line.endswith(f"-m {module}"):
                    return pid
            time.sleep(0.1)
        raise AssertionError(f"{module} does not run")

    def healthy(self, seconds: float = 60) -> None:
        """Wait until the API and the server behind it answer."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if httpx.get(f"{self.url}/api/0/health", timeout=10).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError("the API does not answer")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it by a signal; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)


def daily(day: str = DAYS[1], unit: str = "admin1") -> dict:
    """The spec of where each subscriber was last seen on a day."""
    return {"query_kind": "daily_location", "date": day, "aggregation_unit": unit, "method": "last"}


def people(day: str = DAYS[1], unit: str = "admin1") -> dict:
    """The spec of how many subscribers were last seen in each unit on a day."""
    return {"query_kind": "spatial_aggregate", "locations": daily(day, unit)}


def moves(before: str = DAYS[1], after: str = DAYS[2], unit: str = "admin1", kind: str = "flows") -> dict:
    """The spec of flows between two days."""
    return {"query_kind": kind, "from_location": daily(before, unit), "to_location": daily(after, unit)}
