"""FlowKit's published client 1.34 against `flowkit up`; FLOWKIT_PEER_PYTHON names a Python that has it."""

import json
import math
import os
import subprocess
from pathlib import Path

import httpx
import pytest
from tests.flowkit.living_deployment import DAYS, environment

import flowmachine

PEER = os.environ.get("FLOWKIT_PEER_PYTHON", "")
if not Path(PEER).is_file() and os.environ.get("FLOWKIT_REQUIRE_PEER") != "1":
    pytest.skip("FLOWKIT_PEER_PYTHON names no Python: tools/make_peer.sh makes one", allow_module_level=True)


def peer(*arguments, **changes):
    """Run the peer's Python; what it prints."""
    assert Path(PEER).is_file(), "FLOWKIT_PEER_PYTHON names no Python: make one with tools/make_peer.sh DIR"
    done = subprocess.run(
        [PEER, *map(str, arguments)],
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def heard(served, token):
    script = Path(__file__).with_name("published_client_script.py")
    return json.loads(peer(script, PEER_FLOWAPI_URL=served.url, PEER_TOKEN=token))


def test_the_peer_is_the_published_client():
    """The environment holds flowclient 1.34, and not ours."""
    told = peer("-c", "import importlib.metadata as m; print(m.version('flowclient'))")
    assert told.strip() == "1.34.0"


def test_every_aggregate_has_the_right_rows(served, heard):
    """Each aggregate that the published client asks for has the rows that are computed inside."""
    session = flowmachine.connect(served.place.path / "lake")
    for kind, spec in heard["sync"]["specs"].items():
        expected = session.run(spec, release=True).to_pylist()
        rows = heard["sync"]["results"][kind]
        assert len(rows) == len(expected) > 0, kind
        for row, right in zip(rows, expected, strict=True):
            assert row.keys() == right.keys(), kind
            for name, value in right.items():
                same = math.isclose(row[name], value, rel_tol=1e-9) if isinstance(value, float) else row[name] == value
                assert same, (kind, name, row, right)
    session.close()
    assert len(heard["sync"]["specs"]) == 9


def test_maps_come_as_geojson(heard):
    """Each aggregate of places comes as a map with a feature a row, or a feature a place."""
    for kind, features in heard["sync"]["features"].items():
        assert features > 0, kind
    for kind in ("spatial_aggregate", "unique_subscriber_counts"):
        assert heard["sync"]["features"][kind] == len(heard["sync"]["results"][kind])


def test_the_asynchronous_face_gets_the_same(heard):
    """The published client's asynchronous face gets the same rows, maps and days."""
    for kind, rows in heard["async"]["results"].items():
        assert rows == heard["sync"]["results"][kind]
        assert heard["async"]["features"][kind] == heard["sync"]["features"][kind]
    assert heard["async"]["dates"] == heard["sync"]["dates"] == {"calls": DAYS, "sms": DAYS}


def test_boundaries_come_for_every_level(heard):
    """The published client reads the boundaries of each level."""
    assert heard["sync"]["units"] == {"admin0": 1, "admin1": 4, "admin2": 14, "admin3": 60}
    assert heard["async"]["units"] == {"admin1": 4}


def test_a_token_of_the_published_generate_jwt_works(served):
    """`generate-jwt -u URL` of FlowKit's package makes a token from our API that our API accepts."""
    command = Path(PEER).with_name("generate-jwt")
    if not command.is_file() and os.environ.get("FLOWKIT_REQUIRE_PEER") != "1":
        pytest.skip("The peer environment has no generate-jwt.")
    key = (served.place.path / "secrets" / "PRIVATE_JWT_SIGNING_KEY").read_text()
    done = subprocess.run(
        [command, "--username", "peer", "--lifetime", "1", "-u", served.url],
        env=environment(PRIVATE_JWT_SIGNING_KEY=key),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    http = httpx.Client(
        base_url=f"{served.url}/api/0", headers={"Authorization": f"Bearer {done.stdout.strip()}"}, timeout=30
    )
    assert http.get("/available_dates").json()["available_dates"]["calls"] == DAYS
    spec = {"query_kind": "spatial_aggregate", "locations": {"query_kind": "daily_location", "date": DAYS[1]}}
    spec["locations"] |= {"aggregation_unit": "admin2", "method": "last"}
    assert http.post("/run", json=spec).status_code == 202
