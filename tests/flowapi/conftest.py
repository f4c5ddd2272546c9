import datetime
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
import zmq
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.flowapi.flowauth_stand_in import FlowAuthStandIn

from flowkit_jwt_generator import generate_token
from flowmachine.catalogue import schemas
from flowmachine.server.contents import kinds_in

AUDIENCE = "TEST_SERVER"
UNITS = ["admin0", "admin1", "admin2", "admin3", "lon-lat"]


# The real ones: what is drawn and checked here is what a server describes.
SCHEMAS = schemas()
RUNNABLE = list(SCHEMAS["FlowmachineQuerySchema"]["discriminator"]["mapping"])


def unit_of(spec):
    if spec["query_kind"] == "histogram_aggregate":
        return None
    if spec["query_kind"] == "geography":
        return spec["aggregation_unit"]
    inner = spec.get("locations") or spec["from_location"]
    while "aggregation_unit" not in inner:
        inner = inner.get("locations") or inner.get("from_location")
        inner = inner[0] if isinstance(inner, list) else inner
    return inner["aggregation_unit"]


def feature(pcod):
    return json.dumps(
        {
            "type": "Feature",
            "id": 1,
            "geometry": {"type": "Point", "coordinates": [84.0, 28.0]},
            "properties": {"pcod": pcod, "centroid": {"type": "Point", "coordinates": [84.0, 28.0]}},
        }
    )


@dataclass
class Query:
    spec: dict
    state: str = "completed"
    error: str = ""
    note: str = ""
    batches: list = field(default_factory=list)
    # Batch numbers that are answered with an error, and seconds that each batch takes.
    failing: frozenset = frozenset()
    seconds: float = 0.0


ROWS = pa.record_batch({"pcod": ["A", "B"], "value": [1.5, None]})


class FakeFlowMachine(threading.Thread):
    """A FlowMachine server that computes nothing: it speaks the messages, and tests set its queries' states."""

    def __init__(self, port=0, curve_secret=None):
        super().__init__(daemon=True)
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.linger = 0
        if curve_secret is not None:
            self.socket.curve_secretkey = curve_secret
            self.socket.curve_publickey = zmq.curve_public(curve_secret)
            self.socket.curve_server = True
        self.port = (
            self.socket.bind_to_random_port("tcp://127.0.0.1")
            if port == 0
            else self.socket.bind(f"tcp://127.0.0.1:{port}") and port
        )
        self.queries = {}
        self.actions = []
        self.schemas = SCHEMAS
        self.next_batches = [ROWS]
        self.polls = {}
        self.delay = 0.0
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            if not self.socket.poll(20):
                continue
            identity, empty, message = self.socket.recv_multipart()
            request = json.loads(message)
            assert set(request) == {"action", "request_id", "params"}
            self.actions.append(request)
            time.sleep(self.delay)
            answer, *arrow = getattr(self, "do_" + request["action"])(**self.unpacked(request))
            envelope = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.socket.send_multipart([identity, empty, envelope, *arrow])
        self.socket.close()
        self.context.term()

    def stop(self):
        self.stopping.set()
        self.join(5)

    @staticmethod
    def unpacked(request):
        if request["action"] in {"run_query", "get_aggregation_unit"}:
            return {"spec": request["params"]}
        return request["params"]

    def add(self, spec, **values):
        query_id = hashlib.md5(json.dumps(spec, sort_keys=True).encode()).hexdigest()
        self.queries[query_id] = Query(spec, **{"batches": [ROWS], **values})
        return query_id

    # What follows is one method an action.

    def do_ping(self):
        return [ok({}, "pong")]

    def do_get_query_schemas(self):
        return [ok({"query_schemas": self.schemas})]

    def invalid(self, spec):
        fields = {}
        kind = spec["query_kind"]
        if kind not in RUNNABLE:
            fields = {"query_kind": [f"It is {kind!r}. Must be one of: {', '.join(RUNNABLE)}."]}
            return [
                error({"validation_error_messages": fields, **kinds_in({})}, f"query_kind: {fields['query_kind'][0]}")
            ]
        try:
            unit = unit_of(spec)
        except (AttributeError, IndexError, KeyError, TypeError):
            fields = {"locations": ["Missing data for required field."]}
        else:
            if unit is not None and unit not in UNITS:
                fields = {"locations.aggregation_unit": [f"Must be one of: {', '.join(UNITS)}."]}
        if not fields:
            return None
        texts = [f"{path}: {text}" for path, found in fields.items() for text in found]
        return [error({"params": spec, "validation_error_messages": fields, **kinds_in(spec)}, " ".join(texts))]

    def do_get_aggregation_unit(self, spec):
        [reply] = self.invalid(spec) or [ok({"aggregation_unit": unit_of(spec), **kinds_in(spec)})]
        locations = spec.get("locations")
        subset = locations.get("subscriber_subset") if isinstance(locations, dict) else None
        if not isinstance(subset, str):
            return [reply]
        fields = {"locations.subscriber_subset": [f"No query {subset!r} is known here."]}
        payload = {"params": spec, "validation_error_messages": fields, **kinds_in(spec)}
        msg = f"locations.subscriber_subset: {fields['locations.subscriber_subset'][0]}"
        stored = self.queries.get(subset)
        if stored is None:
            reply = error(payload, msg)
        else:
            reply["payload"]["subset_kinds"] = kinds_in(stored.spec)["query_kinds"]
        reply["payload"] = {**reply["payload"], "without_ids": {"msg": msg, **payload}}
        return [reply]

    def do_run_query(self, spec):
        query_id = hashlib.md5(json.dumps(spec, sort_keys=True).encode()).hexdigest()
        if query_id not in self.queries:
            self.queries[query_id] = Query(spec, state="executing", batches=list(self.next_batches))
        return [ok({"query_id": query_id, "progress": {"eligible": 2, "queued": 0, "running": 1}})]

    def awol(self, query_id):
        return [error({"query_id": query_id, "query_state": "awol"}, "Unknown query id.")]

    def do_poll_query(self, query_id):
        query = self.queries.get(query_id)
        if query is None:
            return self.awol(query_id)
        payload = {
            "query_id": query_id,
            "query_kind": query.spec["query_kind"],
            "query_state": query.state,
            "progress": {"eligible": 1, "queued": 0, "running": 1},
            "error": query.error,
        }
        # A query that runs is ready when it is asked for the third time.
        self.polls[query_id] = self.polls.get(query_id, 0) + 1
        if query.state == "executing" and self.polls[query_id] >= 2 and query.error != "stay":
            query.state = "completed"
        return [ok(payload, query.note)]

    def do_get_query_params(self, query_id):
        query = self.queries.get(query_id)
        if query is None:
            return self.awol(query_id)
        return [
            ok(
                {
                    "query_id": query_id,
                    "query_params": query.spec,
                    "aggregation_unit": unit_of(query.spec),
                    **kinds_in(query.spec),
                }
            )
        ]

    def do_get_result(self, query_id, batch=0, format="rows"):  # noqa: A002  # the wire's own name
        query = self.queries.get(query_id)
        if query is None:
            return self.awol(query_id)
        time.sleep(query.seconds)
        if query.state != "completed" or batch in query.failing:
            state = query.state if batch not in query.failing else "errored"
            return [error({"query_id": query_id, "query_state": state}, query.error or "No result.")]
        rows = query.batches[batch]
        if format == "geo":
            rows = pa.record_batch({"feature": [feature(pcod) for pcod in rows.column("pcod").to_pylist()]})
        return [
            ok(
                {
                    "query_id": query_id,
                    "query_state": "completed",
                    "batch": batch,
                    "batches": len(query.batches),
                    "rows": sum(each.num_rows for each in query.batches),
                },
                query.note if batch == 0 else "",
            ),
            ipc(rows),
        ]

    def do_get_geography(self, aggregation_unit, batch=0):
        if aggregation_unit not in UNITS:
            return [error({"aggregation_unit": [f"Must be one of: {', '.join(UNITS)}."]}, "Unknown unit.")]
        rows = pa.record_batch({"feature": [feature("A"), feature("B")]})
        return [ok({"query_state": "completed", "batch": batch, "batches": 1}), ipc(rows)]

    def do_get_available_dates(self):
        return [ok({"calls": ["2016-01-01", "2016-01-02"], "sms": [], "mds": ["2016-01-01"], "topups": []})]

    def do_get_day_versions(self):
        return [ok({"calls": {"2016-01-01": "a1", "2016-01-02": "a2", "2016-01-03": "a3"}, "sms": {}, "mds": {}})]

    def do_list_qa_checks(self):
        return [ok({"available_qa_checks": [{"cdr_type": "calls", "type_of_query_or_check": "count_null_imeis"}]})]

    def do_get_qa_checks(self, cdr_type, start_date, end_date, check_type):
        found = [
            {"outcome": "1254", "cdr_date": "2016-01-01", "type_of_query_or_check": check_type}
            for _ in [0]
            if (cdr_type, check_type) == ("calls", "count_null_imeis") and start_date <= "2016-01-01" <= end_date
        ]
        return [ok({"qa_checks": found})]

    def do_cancel_query(self, query_id):
        query = self.queries.get(query_id)
        if query is None:
            return self.awol(query_id)
        query.state = "cancelled"
        return [ok({"query_id": query_id, "query_state": "cancelled"})]


def ok(payload, msg=""):
    return {"status": "success", "msg": msg, "payload": payload}


def error(payload, msg):
    return {"status": "error", "msg": msg, "payload": payload}


def ipc(batch):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


DAILY = {
    "query_kind": "daily_location",
    "date": "2016-01-01",
    "aggregation_unit": "admin3",
    "method": "last",
    "event_types": None,
    "subscriber_subset": None,
}
SPEC = {"query_kind": "spatial_aggregate", "locations": DAILY}
QUERY_SCOPES = ["admin3:spatial_aggregate:spatial_aggregate", "admin3:spatial_aggregate:daily_location"]
EVERYTHING = {
    "all": [
        "run",
        "get_result",
        "get_available_dates",
        "get_qa_checks",
        *QUERY_SCOPES,
        *(f"{unit}:geography:geography" for unit in UNITS),
        "admin3:flows:flows",
        "admin3:flows:daily_location",
        "nonspatial:histogram_aggregate:histogram_aggregate",
        "nonspatial:histogram_aggregate:event_count",
    ]
}


class Running:
    """A FlowAPI process."""

    def __init__(self, environment, folder, stdout=None):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.stderr_path = folder / "stderr"
        self.stdout_path = Path(stdout) if stdout else folder / "stdout"
        with self.stderr_path.open("w") as stderr, self.stdout_path.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flowapi"], env=environment, stdout=out, stderr=stderr
            )
        try:
            self.url = self._ready_url()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def _ready_url(self):
        deadline = time.monotonic() + 40
        while True:
            text = self.stderr_path.read_text()
            found = re.search(r"listens on (https?://\S+)\n", text)
            if found:
                break
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"FlowAPI did not start: {text}")
            time.sleep(0.05)
        url = found.group(1)
        while time.monotonic() < deadline:
            try:
                httpx.get(url, verify=False, timeout=2)
                return url
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("FlowAPI does not answer.")

    def lines(self, request_id=None):
        lines = [json.loads(line) for line in self.stdout_path.read_text().splitlines()]
        return [line for line in lines if request_id in (None, line.get("request", {}).get("request_id"))]

    def stop(self):
        self.process.terminate()
        return self.process.wait(15)


@pytest.fixture(scope="module")
def other_key():
    """A signing key that is not FlowAuth's first."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def flowauth():
    """What FlowAuth publishes, at addresses of its own."""
    stand_in = FlowAuthStandIn()
    yield stand_in
    stand_in.stop()


@pytest.fixture(scope="session")
def signing_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def flowapi_environment(signing_key):
    """Make the environment of a FlowAPI process, with changes."""

    def environment(**changes):
        public = signing_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FLOWAPI_", "FLOWMACHINE_", "PUBLIC_JWT", "COV_"))
        }
        base = {
            "PUBLIC_JWT_SIGNING_KEY": public.decode(),
            "FLOWAPI_IDENTIFIER": AUDIENCE,
            "FLOWAPI_PORT": "0",
            "FLOWAPI_BACKEND_TIMEOUT": "10",
        }
        merged = {**kept, **base, **{name: str(value) for name, value in changes.items() if value is not None}}
        return {name: value for name, value in merged.items() if changes.get(name, "") is not None}

    return environment


@pytest.fixture(scope="session")
def start_fake():
    """Start a FlowMachine server that computes nothing, at a port."""
    started = []

    def start(port=0, **options):
        server = FakeFlowMachine(port, **options)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def fake(start_fake):
    return start_fake()


@pytest.fixture
def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="session")
def start_flowapi(flowapi_environment, tmp_path_factory):
    started = []

    def start(*, stdout=None, **changes):
        running = Running(flowapi_environment(**changes), tmp_path_factory.mktemp("flowapi"), stdout)
        started.append(running)
        return running

    yield start
    for running in started:
        if running.process.poll() is None:
            running.stop()


@pytest.fixture(scope="session")
def flowapi(start_flowapi, fake):
    return start_flowapi(FLOWMACHINE_PORT=fake.port)


@pytest.fixture(scope="session")
def make_token(signing_key):
    def token(roles=EVERYTHING, **changes):
        return generate_token(
            **{
                "flowapi_identifier": AUDIENCE,
                "username": "TEST_USER",
                "private_key": signing_key,
                "lifetime": datetime.timedelta(hours=1),
                "roles": roles,
                **changes,
            }
        )

    return token


@pytest.fixture
def call(flowapi, make_token):
    """Send one request to FlowAPI, with a token that holds the given roles."""
    client = httpx.Client(base_url=flowapi.url, timeout=20)

    def send(method, path, roles=EVERYTHING, *, token=None, headers=None, **options):
        bearer = {"Authorization": f"Bearer {token or make_token(roles)}"} if roles is not None else {}
        return client.request(method, path, headers={**bearer, **(headers or {})}, **options)

    yield send
    client.close()


@pytest.fixture
def spec():
    """Give a query spec that no other test has run."""
    counter = next(_days)
    day = (datetime.date(2016, 1, 1) + datetime.timedelta(days=counter)).isoformat()
    return {**SPEC, "locations": {**DAILY, "date": day}}


_days = iter(range(100_000))
