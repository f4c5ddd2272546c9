"""The services of a deployment as one process tree: started in order, watched, and stopped cleanly."""

import ctypes
import datetime as dt
import math
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from flowkit import service_logs
from flowkit.deployment import SETTINGS, Deployment, flowauth, tokens
from flowkit.deployment import autoflow as autoflow_of
from flowkit.errors import DeploymentError
from flowkit.terminal import note
from flowkit_base.files import umask

_PATIENCE = 30.0
"""How many seconds a service has to end, or to begin."""
_QUICK, _MOST_STARTS = 60.0, 5
"""A service that was started so often within so many seconds is started again only after as many seconds."""
_CLEANED_EVERY = 24 * 3600.0
_ACTOR = "flowkit up"
"""Who registers the deployment's own API, as FlowAuth's audit log says."""
_LONGEST_LIFE_MINUTES = 31 * 24 * 60


@dataclass
class Service:
    """One service: a module that is run, its environment, and its process."""

    name: str
    module: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    awaited: str | None = None
    """An address that answers before the next service is started."""
    umask: int = 0o077
    """What it writes only its owner reads."""
    process: subprocess.Popen[bytes] | None = None
    starts: list[float] = field(default_factory=list)
    noted: float = -math.inf
    """When it was last noted that the process ends again and again."""

    def start(self) -> None:
        """Start the process; its output goes to its log."""
        self.starts.append(time.monotonic())
        with service_logs.open_log(self.log) as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.module],
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                umask=self.umask,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - it calls the kernel and nothing else
            )

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self.process is not None and self.process.poll() is None

    @property
    def restless(self) -> bool:
        """Whether the process has ended so often within a minute that it is left alone for a while."""
        return len([start for start in self.starts if time.monotonic() - start < _QUICK]) >= _MOST_STARTS

    def stop(self) -> None:
        """End the process: by SIGTERM, and by SIGKILL if that is not enough."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def end(self) -> str:
        """How the process ended: the signal that killed it, or the last line that it wrote."""
        code = self.process.poll() if self.process is not None else None
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            memory = "; the machine may have too little memory for it" if code == -signal.SIGKILL else ""
            return f"it was ended by {name}{memory}"
        return f"the last line of its log is: {service_logs.last_line(self.log)}"


@contextmanager
def services(deployment: Deployment, *, autoflow: bool = True, cut_off: bool = False) -> Iterator["Watch"]:
    """Start a deployment's services, answer when they are ready, and stop them at the end of the block.

    `cut_off` says that they were last ended by force, so that some may still be ending.
    Raises DeploymentError if a port is in use or a service does not come up.
    """
    _require_ports(deployment, _PATIENCE if cut_off else 0)
    if deployment.has_flowauth:
        # Before FlowAPI asks for its revocations, and before AutoFlow's token is listed.
        register(deployment)
    token = autoflow_of.Token(deployment) if autoflow and autoflow_of.has_workflows(deployment) else None
    if token is not None:
        token.issue()
    watch = Watch(_services(deployment, autoflow=autoflow), deployment, _cleaning(deployment), token)
    try:
        watch.start()
        yield watch
    finally:
        watch.stop()


@dataclass
class Watch:
    """Watches the services of a deployment, and starts again those that end."""

    services: list[Service]
    deployment: Deployment
    cleaning: Service
    """Deletes the files of replaced and withdrawn days, at the beginning and once a day."""
    token: autoflow_of.Token | None = None
    """That of AutoFlow, signed again in time."""
    _ending: threading.Event = field(default_factory=threading.Event)
    _keeper: threading.Thread | None = None

    def start(self) -> None:
        """Start the services in their order, and wait until the API answers."""
        for service in self.services:
            service.start()
            if service.awaited is not None:
                self._wait_until_ready(service.awaited)
        self._wait_until_ready(f"{self.deployment.api_url}/api/0/health")
        if self.deployment.has_flowauth:
            read_document(self.deployment)
        self.keep()

    def keep(self) -> None:
        """Begin to start services again that end, and to keep their logs short, until `stop`."""
        self._keeper = threading.Thread(target=self._keep_running, name="services", daemon=True)
        self._keeper.start()

    def stop(self) -> None:
        """Stop the services, the last one first."""
        self._ending.set()
        if self._keeper is not None:
            # It might be about to start a service again.
            self._keeper.join()
        for service in (self.cleaning, *reversed(self.services)):
            service.stop()

    def wait(self, until: Callable[[], bool]) -> None:
        """Wait until something holds."""
        while not until():
            time.sleep(0.2)

    def _wait_until_ready(self, url: str) -> None:
        deadline = time.monotonic() + 2 * _PATIENCE
        while True:
            for service in self.services:
                if service.starts and not service.running:
                    raise DeploymentError(f"{service.name} did not start: {service.end()}")
            with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
                if answer.status == 200:
                    return
            if time.monotonic() > deadline:
                raise DeploymentError(f"The services did not come up in time; see {self.services[0].log.parent}.")
            time.sleep(0.1)

    def _keep_running(self) -> None:
        """Start services again that end, and keep their logs short; one that ends again and again ends no other."""
        while not self._ending.wait(0.5):
            for service in self.services:
                if service.running:
                    if service.process is not None:
                        service_logs.rotate(service.log, service.process.pid)
                elif not service.restless and not self._ending.is_set():
                    end = service.end()
                    service.start()
                    if service.restless and time.monotonic() - service.noted > _QUICK:
                        service.noted = time.monotonic()
                        note(
                            f"{service.name} ends again and again ({end}). It is started again after a minute; the "
                            f"others go on. Its log: {service.log}."
                        )
            if self.token is not None:
                # A token that could not be signed now, as on a full disk, is signed a moment later.
                with suppress(DeploymentError, OSError):
                    self.token.keep()
            starts = self.cleaning.starts
            if not self.cleaning.running and (not starts or time.monotonic() - starts[-1] > _CLEANED_EVERY):
                self.cleaning.start()


def _require_ports(deployment: Deployment, patience: float) -> None:
    """Raise DeploymentError if a port that a service needs stays in use for so many seconds."""
    deadline = time.monotonic() + patience
    for name in ["FLOWMACHINE_PORT", "FLOWAPI_PORT", *(["FLOWAUTH_PORT"] if deployment.has_flowauth else [])]:
        port = deployment.port(name)
        while not is_free(port):
            if time.monotonic() >= deadline:
                raise DeploymentError(
                    f"Port {port} is in use: stop what listens there, "
                    f"or set {name.lower()} in {deployment.path / SETTINGS}."
                )
            time.sleep(0.1)


def _services(deployment: Deployment, *, autoflow: bool) -> list[Service]:
    logs = deployment.path / "logs"
    logs.mkdir(exist_ok=True)
    for file in (*deployment.path.glob("*.db*"), *logs.glob("*.log*")):
        # Older versions wrote them readable by all.
        file.chmod(0o600)
    flowmachine = deployment.environment(
        FLOWDB_STORE=deployment.store,
        FLOWMACHINE_CATALOGUE=deployment.catalogue_url,
        FLOWMACHINE_CACHE_DIR=str(deployment.path / "cache"),
    )
    flowapi = deployment.environment(
        FLOWAPI_IDENTIFIER=deployment.name,
        PUBLIC_JWT_SIGNING_KEY=deployment.secret("PUBLIC_JWT_SIGNING_KEY"),
        FLOWAPI_STATE=deployment.setting("FLOWAPI_STATE", str(deployment.path / "flowapi-state")),
    )
    started = [Service("FlowMachine", ("flowmachine.server",), flowmachine, logs / "flowmachine.log")]
    if deployment.has_flowauth:
        # FlowAPI asks FlowAuth for its keys and revocations as soon as it starts.
        auth = flowauth.environment(deployment)
        health = f"{deployment.auth_url}/health"
        started.append(Service("FlowAuth", ("flowauth",), auth, logs / "flowauth.log", health))
        published = {
            "FLOWAPI_KEY_SET": f"{deployment.auth_url}/.well-known/jwks.json",
            "FLOWAPI_REVOCATIONS": f"{deployment.auth_url}/revocations/{deployment.name}",
        }
        flowapi |= {name: deployment.setting(name, place) for name, place in published.items()}
    started.append(Service("FlowAPI", ("flowapi",), flowapi, logs / "flowapi.log"))
    if autoflow and autoflow_of.has_workflows(deployment):
        started.append(
            Service(
                "AutoFlow",
                ("autoflow", "serve"),
                autoflow_of.environment(deployment),
                logs / "autoflow.log",
                # Its reports are for others.
                umask=umask(),
            )
        )
    return started


def _cleaning(deployment: Deployment) -> Service:
    """`flowkit lake clean`, as a process of its own: it needs memory for a moment once a day."""
    module = ("flowkit", "--deployment", str(deployment.path), "lake", "clean")
    return Service("Cleaning", module, deployment.environment(), deployment.path / "logs" / "lake.log")


def register(deployment: Deployment) -> None:
    """Register the deployment's API and the roles of flowkit.toml in FlowAuth once, and follow the API's port.

    If an administrator gave FlowAuth another address of the API, such as that of a proxy, it stays.
    """
    import sqlalchemy as sa

    from flowauth.errors import Refused
    from flowauth.services import roles, servers
    from flowauth.services.limits import Limits
    from flowauth.tables import Server

    try:
        with flowauth.database(deployment) as database, database.write() as session:
            server = session.scalar(sa.select(Server).where(Server.name == deployment.name))
            if server is None:
                limits = Limits(None, _LONGEST_LIFE_MINUTES)
                document = servers.described(deployment.name, tokens.scopes(deployment))
                server = servers.create(session, _ACTOR, document, limits, deployment.api_url)
                session.flush()
                for name, patterns in deployment.roles.items():
                    scopes = servers.matching(server, patterns)
                    roles.create(session, _ACTOR, server, roles.Definition(name, scopes, frozenset(), limits))
            elif _has_moved(server.document_url, deployment):
                limits = Limits(server.latest_token_expiry, server.longest_token_life_minutes)
                servers.change(session, _ACTOR, server, limits, deployment.api_url)
            if server.document_url == deployment.api_url:
                # The API does not run yet: `read_document` asks it as soon as it does.
                server.document_requested = dt.datetime.now(dt.UTC)
    except Refused as refused:
        raise DeploymentError(f"FlowAuth does not take the API {deployment.name}: {refused.message}") from None


def read_document(deployment: Deployment) -> None:
    """Let FlowAuth read the document of the deployment's API, which runs now; it shows problems on its pages."""
    import sqlalchemy as sa

    from flowauth.services.following import Due, ask
    from flowauth.tables import Server

    with flowauth.database(deployment) as database:
        own = sa.select(Server.id).where(Server.name == deployment.name, Server.document_url == deployment.api_url)
        with database.read() as session:
            number = session.scalar(own)
        if number is not None:
            ask(database, Due(number, deployment.name, deployment.api_url))


def _has_moved(address: str | None, deployment: Deployment) -> bool:
    """Whether FlowAuth follows the API at another port of the loopback than it has."""
    return bool(re.fullmatch(r"http://(127\.0\.0\.1|localhost):\d+/?", address or "")) and (
        urlsplit(address).port != deployment.port("FLOWAPI_PORT")
    )


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _end_with_parent() -> None:
    # Should this process be killed, its services must not live on and hold the ports. Linux knows how; elsewhere
    # they are found by their ports.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
