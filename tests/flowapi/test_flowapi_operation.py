import asyncio
import contextlib
import datetime
import json
import os
import re
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pyarrow as pa
import pytest
import zmq
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from flowapi import audit
from flowapi.__main__ import main
from flowapi.settings import Settings

DATES = "/api/0/available_dates"


def ask(running, token, path=DATES, **options):
    return httpx.get(running.url + path, headers={"Authorization": f"Bearer {token}"}, timeout=20, **options)


def test_a_backend_that_is_down_is_said_and_its_return_noticed(start_flowapi, start_fake, free_port, make_token):
    """Without a FlowMachine server every call answers 503 within seconds; once it is there, calls work; and again."""
    running = start_flowapi(FLOWMACHINE_PORT=free_port, FLOWAPI_BACKEND_TIMEOUT=1)
    token = make_token()
    for path in (DATES, "/api/0/health", "/api/0/spec/openapi.json", "/api/0/poll/" + "0" * 32):
        began = time.monotonic()
        answer = ask(running, token, path)
        assert time.monotonic() - began < 4
        assert answer.status_code == 503
        assert "'flowmachine'" in answer.json()["msg"]
        assert answer.json()["code"] == "backend_unavailable"
        assert answer.headers["Retry-After"] == "5"
    for _ in range(2):
        server = start_fake(free_port)
        try:
            deadline = time.monotonic() + 10
            while (answer := ask(running, token)).status_code == 503 and time.monotonic() < deadline:
                time.sleep(0.1)
            assert answer.status_code == 200
            assert ask(running, token, "/api/0/health").json()["status"] == "ok"
        finally:
            server.stop()
    assert ask(running, token).status_code == 503


def test_a_backend_that_hangs_is_not_waited_for(start_flowapi, start_fake, make_token):
    """A server that takes a question and does not answer costs the time limit; a late answer is not mixed up."""
    server = start_fake()
    running = start_flowapi(FLOWMACHINE_PORT=server.port, FLOWAPI_BACKEND_TIMEOUT=0.5)
    token = make_token()
    try:
        assert ask(running, token).status_code == 200
        server.delay = 1.0
        busy = ask(running, token)
        assert (busy.status_code, busy.json()["code"]) == (503, "backend_busy")
        assert "busy" in busy.json()["msg"]
        assert "Start" not in busy.json()["msg"]
        assert busy.headers["Retry-After"] == "15"
        server.delay = 0.0
        time.sleep(1.2)
        health = ask(running, token, "/api/0/health")
        assert (health.status_code, health.json()["status"]) == (200, "ok")
        assert "available_dates" in ask(running, token).json()
    finally:
        server.stop()


@pytest.mark.parametrize(
    "answer",
    [b"not JSON", b"[]", b'{"status": "fine", "msg": "", "payload": {}}', b'{"status": "success"}'],
)
def test_an_answer_that_makes_no_sense_is_an_error(call, fake, monkeypatch, answer):
    """An answer of the FlowMachine server that cannot be read is a 500 that says so."""

    monkeypatch.setattr(fake, "do_ping", lambda: [answer], raising=False)
    got = call("GET", "/api/0/health", None)
    assert got.status_code == 500
    assert got.json()["code"] == "backend_answer_unreadable"


async def test_two_hundred_requests_at_once_are_answered(flowapi, fake, make_token, spec):
    """Two hundred callers at once all get their answer, and a probe between them is not kept waiting."""
    rows = [pa.record_batch({"pcod": [f"P{n}" for n in range(20_000)], "value": [0.5] * 20_000})] * 2
    query_id = fake.add(spec, batches=rows)
    headers = {"Authorization": f"Bearer {make_token()}"}
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(base_url=flowapi.url, headers=headers, timeout=60, limits=limits) as client:

        async def one(number):
            path = f"/api/0/get/{query_id}.csv" if number % 10 == 0 else f"/api/0/poll/{query_id}"
            return (await client.get(path)).status_code

        async def probe():
            async with httpx.AsyncClient(base_url=flowapi.url, timeout=60) as other:
                slowest = 0.0
                for _ in range(10):
                    began = time.monotonic()
                    assert (await other.get("/")).status_code == 200
                    slowest = max(slowest, time.monotonic() - began)
                    await asyncio.sleep(0.05)
                return slowest

        *statuses, slowest = await asyncio.gather(*(one(number) for number in range(200)), probe())
    assert sorted(set(statuses)) == [200, 303]
    assert statuses.count(200) == 20
    # This process shares the two cores with the server: the bound tells waiting for a turn from being blocked.
    assert slowest < 5


def test_a_small_answer_comes_at_once(call):
    """An answer does not wait for the network's delay timers, which take 40 milliseconds."""
    times = []
    for _ in range(20):
        began = time.monotonic()
        call("GET", DATES)
        times.append(time.monotonic() - began)
    assert min(times) < 0.03


def _resident(process):
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) // 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_large_result_takes_little_memory(start_flowapi, make_token, fake, spec):
    """A result of 40 MB is sent in the memory of a few batches, also to a reader that stops reading."""
    running = start_flowapi(FLOWMACHINE_PORT=fake.port)
    batch = pa.record_batch({"pcod": [f"P{n:06}" for n in range(40_000)], "value": [n / 7 for n in range(40_000)]})
    headers = {"Authorization": f"Bearer {make_token()}"}
    small = fake.add({**spec, "small": 1}, batches=[batch] * 2)
    large = fake.add(spec, batches=[batch] * 24)
    httpx.get(f"{running.url}/api/0/get/{small}", headers=headers, timeout=30)
    before = _resident(running.process)
    peak = before
    received = 0
    with httpx.stream("GET", f"{running.url}/api/0/get/{large}", headers=headers, timeout=60) as answer:
        for part in answer.iter_raw(1_000_000):
            if received == 0:
                time.sleep(1)
            received += len(part)
            peak = max(peak, _resident(running.process))
    assert received > 40_000_000
    assert peak - before < 25


def test_each_request_leaves_its_record(call, flowapi, fake, spec, make_token):
    """The record names user, roles, scopes, query, status, rows, bytes and time, and never the token."""
    query_id = fake.add(spec, batches=[pa.record_batch({"pcod": ["A", "B"], "value": [1.5, None]})] * 2)
    token = make_token()
    answer = call("GET", f"/api/0/get/{query_id}", token=token)
    lines = flowapi.lines(answer.headers["X-Request-ID"])
    assert [(line["logger"], line["event"]) for line in lines] == [
        ("flowapi.access", "loaded user"),
        ("flowapi.access", "permission granted"),
        ("flowapi.query", "get_result"),
        ("flowapi.query", "request"),
    ]
    whole = lines[-1]
    assert whole["request"]["user"] == "TEST_USER"
    assert whole["request"]["path"] == f"/api/0/get/{query_id}"
    assert whole["request"]["src_ip"] == "127.0.0.1"
    assert whole["roles"] == ["all"]
    assert whole["scopes"] == [
        "admin3:spatial_aggregate:daily_location",
        "admin3:spatial_aggregate:spatial_aggregate",
        "get_result",
    ]
    assert (whole["query_id"], whole["status"], whole["outcome"]) == (query_id, 200, "answered")
    assert whole["rows"] == 4
    assert whole["bytes"] == len(answer.content)
    assert 0 < whole["seconds"] < 20
    assert datetime.datetime.fromisoformat(whole["timestamp"]).utcoffset() == datetime.timedelta(0)
    assert token not in flowapi.stdout_path.read_text()
    assert token.split(".")[2] not in flowapi.stderr_path.read_text()
    assert fake.actions[-1]["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("method", "path", "event"),
    [
        ("GET", "/api/0/geography/admin3", "get_geography"),
        ("GET", "/api/0/available_dates", "get_available_dates"),
        ("GET", "/api/0/qa/", "list_qa_checks"),
        ("GET", "/api/0/qa/calls/count_null_imeis/2016-01-01", "get_qa_checks"),
    ],
)
def test_every_kind_of_use_is_recorded(call, flowapi, method, path, event):
    """Each kind of use has its line, boundaries included."""
    answer = call(method, path)
    events = [line["event"] for line in flowapi.lines(answer.headers["X-Request-ID"])]
    assert events[-2:] == [event, "request"]


def test_running_is_recorded_with_the_query(call, flowapi, spec):
    """The record of a run holds the whole query; a refused one holds what was missing."""
    answer = call("POST", "/api/0/run", json=spec)
    lines = {line["event"]: line for line in flowapi.lines(answer.headers["X-Request-ID"])}
    assert lines["run_query"]["query"] == spec
    assert lines["request"]["query_id"] == answer.json()["query_id"]
    refused = call("POST", "/api/0/run", {"r": ["run"]}, json=spec)
    lines = {line["event"]: line for line in flowapi.lines(refused.headers["X-Request-ID"])}
    assert lines["CLAIMS_VERIFICATION_FAILED"]["json_payload"]["missing_scopes"]
    assert lines["request"]["status"] == 403
    assert lines["request"]["code"] == "scopes_missing"
    assert "run_query" not in lines


@pytest.mark.parametrize(("token", "event"), [(None, "UNAUTHORISED"), ("nonsense", "INVALID_TOKEN")])
def test_a_refused_token_is_recorded(call, flowapi, token, event):
    """Who comes without a good token is on record too."""
    answer = call("GET", DATES, None, headers={"Authorization": f"Bearer {token}"} if token else {})
    assert [line["event"] for line in flowapi.lines(answer.headers["X-Request-ID"])] == [event, "request"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_without_a_record_there_is_no_answer(start_flowapi, fake, make_token, spec):
    """When the record cannot be written, requests are refused before anything is asked or shown."""
    running = start_flowapi(stdout="/dev/full", FLOWMACHINE_PORT=fake.port)
    query_id = fake.add(spec)
    for path in (DATES, f"/api/0/get/{query_id}", "/api/0/geography/admin3", "/api/0/spec/openapi.json"):
        answer = ask(running, make_token(), path)
        assert answer.status_code == 503
        assert answer.json()["code"] == "audit_unavailable"
        assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    assert ask(running, make_token(), "/api/0/health").status_code == 200


def test_a_reader_that_goes_away_is_recorded(flowapi, fake, make_token, spec):
    """Who hangs up in the middle of a result is on record, and the server asks for no more batches."""
    batch = pa.record_batch({"pcod": [f"P{n:06}" for n in range(50_000)], "value": [n / 7 for n in range(50_000)]})
    query_id = fake.add(spec, batches=[batch] * 40)
    headers = {"Authorization": f"Bearer {make_token()}"}
    with httpx.stream("GET", f"{flowapi.url}/api/0/get/{query_id}", headers=headers, timeout=30) as answer:
        next(answer.iter_raw(1000))
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        lines = flowapi.lines(answer.headers["X-Request-ID"])
        if lines[-1]["event"] == "request":
            break
        time.sleep(0.1)
    assert (lines[-1]["event"], lines[-1]["outcome"]) == ("request", "aborted")
    asked = [
        each["params"]["batch"]
        for each in fake.actions
        if each["params"].get("query_id") == query_id and "batch" in each["params"]
    ]
    assert max(asked) < 39


def test_a_secret_file_wins_over_the_environment(monkeypatch, tmp_path, signing_key):
    """A value in the secrets folder is taken before the environment variable of the same name."""
    monkeypatch.setattr("flowkit_base.settings.SECRETS", tmp_path)
    public = signing_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (tmp_path / "PUBLIC_JWT_SIGNING_KEY").write_bytes(public)
    (tmp_path / "FLOWAPI_IDENTIFIER").write_text("FROM_FILE\n")
    monkeypatch.setenv("FLOWAPI_IDENTIFIER", "FROM_ENVIRONMENT")
    monkeypatch.setenv("FLOWMACHINE_PORT", "6666")
    settings = Settings()
    assert settings.flowapi_identifier == "FROM_FILE"
    assert settings.backend_address == "tcp://127.0.0.1:6666"
    assert settings.public_keys == [signing_key.public_key()]


def test_metrics_count_requests(call, fake, spec):
    """Requests are counted by route and status, without ids in the labels."""
    query_id = fake.add(spec)
    call("GET", f"/api/0/get/{query_id}")
    call("GET", "/no/such/path")
    page = call("GET", "/metrics", None)
    assert page.status_code == 200
    assert 'flowapi_requests_total{method="GET",route="/api/0/get/{query_id}",status="200"}' in page.text
    assert 'route="unmatched",status="404"' in page.text
    assert "flowapi_request_seconds_bucket" in page.text
    assert query_id not in page.text


def flowapi_says(environment, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "flowapi", *arguments],
        env=environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr.strip()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"FLOWAPI_IDENTIFIER": None}, "FLOWAPI_IDENTIFIER is not set"),
        ({"PUBLIC_JWT_SIGNING_KEY": None}, "PUBLIC_JWT_SIGNING_KEY is not set"),
        ({"PUBLIC_JWT_SIGNING_KEY": "hunter2"}, "PUBLIC_JWT_SIGNING_KEY: Failed to load key."),
        ({"FLOWAPI_PORT": "ninety"}, "FLOWAPI_PORT: "),
        ({"FLOWAPI_PORT": "70000"}, "FLOWAPI_PORT: "),
        ({"FLOWAPI_LOG_LEVEL": "loud"}, "FLOWAPI_LOG_LEVEL: "),
        ({"FLOWAPI_BACKEND_TIMEOUT": "0"}, "FLOWAPI_BACKEND_TIMEOUT: "),
        ({"FLOWAPI_HOST": "no.such.host.invalid"}, "FLOWAPI_HOST: "),
        ({"FLOWAPI_TLS_CERT": "/no/such.pem"}, "FLOWAPI_TLS_CERT names /no/such.pem"),
        ({"FLOWAPI_CURVE_SECRET_KEY": "hunter2"}, "FLOWMACHINE_CURVE_SERVER_KEY and FLOWAPI_CURVE_SECRET_KEY"),
        (
            {"FLOWAPI_CURVE_SECRET_KEY": "hunter2", "FLOWMACHINE_CURVE_SERVER_KEY": "x" * 40},
            "FLOWAPI_CURVE_SECRET_KEY is not a CURVE key",
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_wrong_setting_is_one_sentence(flowapi_environment, monkeypatch, changes, expected):
    """A missing or wrong setting stops the start with one sentence that names it and repeats no secret."""
    environment = flowapi_environment(**changes)
    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["flowapi"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert isinstance(stopped.value.code, str)
    assert stopped.value.code.startswith(expected)
    assert len(stopped.value.code.splitlines()) == 1
    assert "hunter2" not in stopped.value.code


def test_a_missing_setting_ends_the_command(flowapi_environment):
    """The command ends with exit code 1 and the sentence on standard error, without a traceback."""
    code, out, err = flowapi_says(flowapi_environment(FLOWAPI_IDENTIFIER=None))
    assert (code, out) == (1, "")
    assert err.startswith("FLOWAPI_IDENTIFIER is not set")
    assert len(err.splitlines()) == 1


def test_a_port_in_use_is_one_sentence(flowapi, flowapi_environment):
    """Starting twice on one port says which port and what to do."""
    port = flowapi.url.rpartition(":")[2]
    code, _, err = flowapi_says(flowapi_environment(FLOWAPI_PORT=port))
    assert code == 1
    assert err.startswith(f"FLOWAPI_PORT: FlowAPI cannot listen on 127.0.0.1 port {port}")
    assert len(err.splitlines()) == 1


def test_help_lists_every_setting():
    """The help names every setting with its meaning and default."""
    code, out, _ = flowapi_says(dict(os.environ), "--help")
    assert code == 0
    for name in ("PUBLIC_JWT_SIGNING_KEY", "FLOWAPI_PORT", "FLOWMACHINE_HOST", "FLOWAPI_BACKEND_TIMEOUT"):
        assert name in out
    assert "default 9090" in out


def test_the_server_stops_cleanly(start_flowapi, fake):
    """SIGTERM ends the process with exit code 0, without a traceback."""
    running = start_flowapi(FLOWMACHINE_PORT=fake.port)
    assert running.stop() == 0
    assert "Traceback" not in running.stderr_path.read_text()


def test_idle_and_slow_connections_do_not_keep_callers_out(start_flowapi, fake, make_token):
    """Connections above the limit are closed at once, those that send no whole request after a time; callers get in."""
    running = start_flowapi(FLOWMACHINE_PORT=fake.port, FLOWAPI_MAX_CONNECTIONS=8, FLOWAPI_REQUEST_SECONDS=1)
    address = urlsplit(running.url)
    half = (
        f"POST /api/0/run HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {make_token()}\r\nContent-Length: 50\r\n\r\n{{"
    )
    beginnings = [b"", b"GET / HT", half.encode()] * 7
    idle = [socket.create_connection((address.hostname, address.port), timeout=15) for _ in beginnings]
    try:
        for connection, beginning in zip(idle, beginnings, strict=True):
            with contextlib.suppress(OSError):
                connection.sendall(beginning)
        for connection in idle:
            # The end of the connection, or its reset.
            with contextlib.suppress(ConnectionError):
                while connection.recv(4096):
                    pass
        assert ask(running, make_token()).status_code == 200
    finally:
        for connection in idle:
            connection.close()
    assert "Traceback" not in running.stderr_path.read_text()


def test_few_open_files_flood_no_log(start_flowapi, fake, make_token):
    """More idle connections than the process may open files wait, and the log says so once."""
    running = start_flowapi(FLOWMACHINE_PORT=fake.port, FLOWAPI_REQUEST_SECONDS=2)
    resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (160, 160))
    address = urlsplit(running.url)
    idle = [socket.create_connection((address.hostname, address.port), timeout=15) for _ in range(200)]
    try:
        for connection in idle:
            with contextlib.suppress(ConnectionError):
                while connection.recv(4096):
                    pass
    finally:
        for connection in idle:
            connection.close()
    assert ask(running, make_token()).status_code == 200
    assert running.stderr_path.stat().st_size < 10_000


def test_a_record_after_half_a_record_has_a_line_of_its_own(monkeypatch, tmp_path):
    """A disk that is full in the middle of a record leaves one broken line, and the next record is whole."""
    path = tmp_path / "log"
    written = os.write
    room = [20]

    def full(output, content):
        if not room[0]:
            raise OSError(28, "No space left on device")
        part, room[0] = content[: room[0]], max(room[0] - len(content), 0)
        return written(output, part)

    with path.open("w") as log:
        monkeypatch.setattr(sys, "stdout", log)
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(audit.AuditUnavailableError):
            audit.query("first")
        room[0] = 10_000
        audit.query("second")
    monkeypatch.undo()
    broken, whole = path.read_text().splitlines()
    assert len(broken) == 20
    assert json.loads(whole)["event"] == "second"


def test_https_is_spoken_with_a_certificate(start_flowapi, fake, make_token, signing_key, tmp_path):
    """With a certificate and its key the server speaks HTTPS."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(signing_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(signing_key, hashes.SHA256())
    )
    cert_path, key_path = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        signing_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    running = start_flowapi(FLOWMACHINE_PORT=fake.port, FLOWAPI_TLS_CERT=cert_path, FLOWAPI_TLS_KEY=key_path)
    assert running.url.startswith("https://")
    assert ask(running, make_token(), verify=False).status_code == 200


def test_the_connection_to_the_backend_may_be_encrypted(start_flowapi, start_fake, make_token):
    """With CURVE keys FlowAPI talks to the FlowMachine server that has the right key, and to no other."""
    server_public, server_secret = zmq.curve_keypair()
    _, own_secret = zmq.curve_keypair()
    wrong_public, _ = zmq.curve_keypair()
    server = start_fake(curve_secret=server_secret)
    for key, status in ((server_public, 200), (wrong_public, 503)):
        running = start_flowapi(
            FLOWMACHINE_PORT=server.port,
            FLOWMACHINE_CURVE_SERVER_KEY=key.decode(),
            FLOWAPI_CURVE_SECRET_KEY=own_secret.decode(),
            FLOWAPI_BACKEND_TIMEOUT=2,
        )
        answer = ask(running, make_token())
        assert answer.status_code == status
        # It runs: starting it is no way out.
        assert status == 200 or ("CURVE keys" in answer.json()["msg"] and "Start it" not in answer.json()["msg"])


def test_half_a_certificate_is_refused(flowapi_environment, tmp_path):
    """A certificate without its key stops the start."""
    (tmp_path / "cert.pem").write_text("x")
    code, _, err = flowapi_says(
        flowapi_environment(FLOWAPI_TLS_CERT=tmp_path / "cert.pem", FLOWAPI_TLS_KEY=tmp_path / "key.pem")
    )
    assert code == 1
    assert "key.pem is missing" in err
    (tmp_path / "key.pem").write_text("x")
    code, _, err = flowapi_says(
        flowapi_environment(FLOWAPI_TLS_CERT=tmp_path / "cert.pem", FLOWAPI_TLS_KEY=tmp_path / "key.pem")
    )
    assert code == 1
    assert "Traceback" not in err
