"""Kernels: the processes in which notebooks run, bounded in number, and ended together."""

import os
import re
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass, field

from autoflow.settings import Settings

# What a kernel must not see although this process does: the ways into databases and into a Prefect server.
WITHHELD = re.compile(
    r"AUTOFLOW_DB_\w+|PG(PASSWORD|PASSFILE|SERVICE\w*|USER|HOST)|FLOWETL_\w+"
    r"|PREFECT_((SERVER_)?API_(KEY|AUTH_STRING|DATABASE_(CONNECTION_URL|PASSWORD))|_CONTROL_TOKEN)"
    r"|\w*(FLOWDB|FLOWAUTH|POSTGRES|DATABASE|_DB_)\w*(PASS|PASSWORD|URI|URL|DSN|KEY)",
    re.IGNORECASE,
)


@dataclass
class Kernels:
    """The kernels at work, so that they can be bounded in number and ended at once."""

    slots: threading.Semaphore
    stopped: threading.Event = field(default_factory=threading.Event)
    lost: set[str] = field(default_factory=set)
    _pids: dict[int, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def started(self, pid: int, run_id: str) -> None:
        """Take note of a kernel; it is ended at once if its run has been stopped."""
        with self._lock:
            self._pids[pid] = run_id
            if self.unwanted(run_id):
                kill(pid)

    def ended(self, pid: int) -> None:
        """Forget a kernel."""
        with self._lock:
            self._pids.pop(pid, None)

    def stop(self) -> None:
        """End every kernel, and let no other begin."""
        self.stopped.set()
        with self._lock:
            for pid in self._pids:
                kill(pid)

    def lose(self, run_id: str) -> None:
        """End the kernels of a run that this process no longer owns."""
        self.lost.add(run_id)
        with self._lock:
            for pid, owner in self._pids.items():
                if owner == run_id:
                    kill(pid)

    def unwanted(self, run_id: str) -> bool:
        """Whether a run is not to go on."""
        return self.stopped.is_set() or run_id in self.lost


def kill(pid: int) -> None:
    """End a kernel and everything that it has started; 0 means a kernel that is not a process here."""
    if pid <= 0:
        return
    # A kernel leads its own session, so this ends what it has started as well.
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def kernel_environment(settings: Settings) -> dict[str, str]:
    """Give the environment of a notebook: this process's, with the way to FlowAPI and without the run table's."""
    environment = {name: value for name, value in os.environ.items() if not WITHHELD.fullmatch(name)}
    environment.pop("FLOWAPI_TOKEN_FILE", None)
    environment["FLOWAPI_URL"] = settings.flowapi_url
    environment["FLOWAPI_TOKEN"] = settings.flowapi_token.get_secret_value()
    if settings.ssl_certificate_file:
        environment["SSL_CERTIFICATE_FILE"] = str(settings.ssl_certificate_file)
    # Plots are drawn for the page, not for a screen.
    environment.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    return environment
