"""FlowKit's published client and token maker against our server; FLOWKIT_PEER_PYTHON names their Python."""

import datetime
import json
import os
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives import serialization

from flowkit_jwt_generator import load_private_key, verify_token

PEER = os.environ.get("FLOWKIT_PEER_PYTHON")
if not PEER:
    pytest.skip("FLOWKIT_PEER_PYTHON (a Python with flowclient 1.34) is not set", allow_module_level=True)
ROWS = [{"pcod": "A", "value": 1.5}, {"pcod": "B", "value": None}]


@pytest.fixture(scope="module")
def said(flowapi, fake, make_token):
    spec = {"query_kind": "spatial_aggregate", "locations": {"query_kind": "daily_location"}}
    spec["locations"] |= {"aggregation_unit": "admin3", "date": "2030-01-01"}
    failed = fake.add(spec, state="errored", error="There is no data on 2030-01-01.")
    rows = pa.record_batch({"pcod": ["A"], "value": [1.0]})
    breaking = fake.add({**spec, "breaks": True}, batches=[rows, rows], failing=frozenset({1}))
    tokens = {
        "all": make_token(),
        "weak": make_token({"r": ["run", "admin3:flows:flows"]}),
        "expired": make_token(lifetime=datetime.timedelta(seconds=-5)),
    }
    done = subprocess.run(
        [PEER, str(Path(__file__).with_name("published_flowclient_script.py"))],
        env={
            "PATH": os.environ["PATH"],
            "PEER_FLOWAPI_URL": flowapi.url,
            "PEER_TOKENS": json.dumps(tokens),
            "PEER_FAILED_ID": failed,
            "PEER_BREAKING_ID": breaking,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_results_come_as_pandas_and_geojson(said):
    """Both faces of the client run, poll and fetch a query, as a data frame and as a map."""
    for face in ("sync", "async"):
        assert said[face]["pandas"] == ROWS
        assert [one["properties"]["pcod"] for one in said[face]["geojson"]["features"]] == ["A", "B"]
    assert said["sync"]["get_result"] == ROWS


def test_states_are_understood(said):
    """The client reads the states of a query before, while and after it runs."""
    assert said["sync"]["not_running"] == "not_running"
    assert said["sync"]["running"] == "executing"
    assert said["sync"]["ready"] == "completed"


def test_dates_and_boundaries_are_understood(said):
    """Both faces read the days of data and the boundaries; a URL that ends with a slash works."""
    for face in ("sync", "async"):
        assert said[face]["dates"] == {"calls": ["2016-01-01", "2016-01-02"]}
        assert said[face]["geography"]["type"] == "FeatureCollection"
    assert said["sync"]["slash"] == {"mds": ["2016-01-01"]}


def test_quality_checks_are_understood(said):
    """The client reads the list of checks, one outcome and a range of outcomes."""
    assert said["sync"]["checks"] == [{"cdr_type": "calls", "type_of_query_or_check": "count_null_imeis"}]
    assert said["sync"]["outcome"] == "1254"
    assert said["sync"]["outcomes"][0]["outcome"] == "1254"


@pytest.mark.parametrize(
    ("case", "kind", "text"),
    [
        ("unknown", "FileNotFoundError", ""),
        ("invalid", "FlowclientConnectionError", "Must be one of: admin0"),
        ("failed", "FlowclientConnectionError", "There is no data on 2030-01-01."),
        ("forbidden", "FlowclientConnectionError", "User claims verification failed"),
        ("expired", "FlowclientConnectionError", "Token has expired"),
    ],
)
def test_errors_reach_the_user(said, case, kind, text):
    """Each error becomes the client's own exception, with our sentence in it."""
    assert said["sync"][case][0] == kind
    assert text in said["sync"][case][1]


def test_a_result_that_breaks_off_is_an_error(said):
    """A result that cannot be finished raises in the client; no shorter answer is taken for the whole."""
    kind, _ = said["sync"]["aborted"]
    assert kind != "no error"


def test_the_published_token_maker_works_with_our_server(flowapi, signing_key, call, spec):
    """A token of FlowKit's generate-jwt is accepted by every route."""
    private = signing_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
    done = subprocess.run(
        [
            str(Path(PEER).with_name("generate-jwt")), "--username", "PEER", "--private-key", private,
            "--lifetime", "1", "-u", flowapi.url,
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    token = done.stdout.strip()
    claims = verify_token(token, [load_private_key(private).public_key()], "TEST_SERVER")
    assert claims.subject == "PEER"
    query_id = call("POST", "/api/0/run", token=token, json=spec).json()["query_id"]
    for path, status in (
        (f"/api/0/poll/{query_id}", 202),
        ("/api/0/available_dates", 200),
        ("/api/0/geography/admin3", 200),
        ("/api/0/qa/", 200),
    ):
        assert call("GET", path, token=token).status_code == status


def test_the_published_package_reads_our_tokens(make_token):
    """FlowKit's package unpacks the roles of a token of ours."""
    program = (
        "import sys, jwt, json; from flowkit_jwt_generator.jwt import decompress_claims;"
        "payload = jwt.decode(sys.argv[1], options={'verify_signature': False});"
        "print(json.dumps(decompress_claims(payload['user_claims'])))"
    )
    roles = {"runner": ["run", "admin3:flows:flows"], "viewer": ["get_result"]}
    done = subprocess.run(
        [PEER, "-c", program, make_token(roles)], capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout) == roles
