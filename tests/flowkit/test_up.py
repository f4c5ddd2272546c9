"""`flowkit up`: what it serves and to whom, and how it stops, dies and comes back."""

import asyncio
import csv
import datetime as dt
import io
import json
import os
import random
import re
import signal
import time

import httpx
import jwt
import pandas as pd
import pytest
from tests.flowkit.living_deployment import DAYS, command_line, daily, descendants, gone, moves, people, refused

import flowclient
import flowmachine
from flowkit.checks import CHECKS
from flowkit_jwt_generator import generate_token, load_private_key
from flowmachine.catalogue import catalogue
from flowmachine.questions.registry import kinds

pytestmark = pytest.mark.takes_long("starts a whole deployment")

SMALLEST = 16
WINDOW = {"start_date": DAYS[0], "end_date": DAYS[2]}
RADIUS = {"query_kind": "radius_of_gyration", "start_date": DAYS[0], "end_date": DAYS[4]}
JOINED = {"query_kind": "joined_spatial_aggregate", "locations": daily(unit="admin3"), "metric": RADIUS}
EVENTS = {"query_kind": "event_count", "start_date": DAYS[0], "end_date": DAYS[4]}
COUNTED = {"query_kind": "location_event_counts", **WINDOW, "interval": "day", "aggregation_unit": "admin3"}
SEEN = {"query_kind": "unique_subscriber_counts", "aggregation_unit": "admin3"}
ASKED = {
    "spatial_aggregate": people(unit="admin3"),
    "flows": moves(unit="admin2"),
    "inflows": moves(unit="admin3", kind="inflows"),
    "outflows": moves(unit="admin3", kind="outflows"),
    "unique_subscriber_counts": SEEN | WINDOW,
    "location_event_counts": COUNTED,
    "joined_spatial_aggregate": JOINED | {"method": "avg"},
    "trips_od_matrix": {"query_kind": "trips_od_matrix", **WINDOW, "aggregation_unit": "admin2"},
    "histogram_aggregate": {"query_kind": "histogram_aggregate", "metric": EVENTS, "bins": {"n_bins": 30}},
}


class Api:
    """Asks an API plainly, over HTTP."""

    def __init__(self, up, token):
        self.http = httpx.Client(base_url=f"{up.url}/api/0", headers={"Authorization": f"Bearer {token}"}, timeout=60)

    def run(self, spec):
        answer = self.http.post("/run", json=spec)
        assert answer.status_code == 202, answer.text
        return answer.json()["query_id"]

    def wait(self, query_id, seconds=90):
        """Poll until the query has ended; an API whose server is away is asked again."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                answer = self.http.get(f"/poll/{query_id}", follow_redirects=False)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code not in (202, 502, 503, 504):
                return answer
            time.sleep(0.05)
        raise AssertionError(f"{query_id} does not end: {answer and answer.text}")

    def rows(self, query_id):
        answer = self.wait(query_id)
        assert answer.status_code == 303, answer.text
        return self.http.get(f"/get/{query_id}").raise_for_status().json()["query_result"]


def inside(place, spec, *options):
    """The rows of a query that is run inside, as text."""
    return list(csv.DictReader(io.StringIO(place.done("query", json.dumps(spec), "--csv", *options))))


def same(rows, printed):
    """Whether rows of an answer are the rows that are printed as CSV."""
    return [{name: str(value) for name, value in row.items()} for row in rows] == printed


@pytest.fixture(scope="module")
def connection(served, token):
    return flowclient.connect(url=served.url, token=token)


@pytest.fixture
def api(served, token):
    return Api(served, token)


def test_up_says_where_and_what_next(served):
    """`flowkit up` says where the API is, how to get a token and where the logs are."""
    first, auth, second = served.said.splitlines()
    assert f"FlowAuth at {served.auth_url}" in auth
    assert served.url in first
    assert f"flowkit --deployment {served.place.path} token USER" in second
    assert str(served.place.path / "logs") in second
    status = served.place.done("status")
    assert f"{served.url} is up" in status
    assert re.search(r"queries +\d+ (query|queries) running, \d+ waiting, \d+ failed", status)
    doctor = served.place.flowkit("doctor")
    assert (doctor.returncode, doctor.stdout.count("✓"), doctor.stdout.count("✗")) == (0, len(CHECKS), 0)


def test_up_cleans_the_lake(served):
    """Files of replaced and withdrawn days are deleted without a command of anybody, and the log says how many."""
    log, until = served.place.path / "logs" / "lake.log", time.monotonic() + 60
    while "Deleted 0 files" not in log.read_text() and time.monotonic() < until:
        time.sleep(0.05)
    assert "Deleted 0 files" in log.read_text()


def test_another_deployment_on_the_port_is_told(served, copy_of_model):
    """A deployment whose port another one answers at is not up, and doctor says what to set."""
    other = copy_of_model()
    settings = other.path / "flowkit.toml"
    settings.write_text(settings.read_text().replace('"nepal.test"', '"other"'))
    other.set(flowapi_port=served.url.rpartition(":")[2])
    assert "not up: flowkit up" in other.done("status")
    assert (
        f"Another deployment, nepal.test, answers at {served.url}: set flowapi_port" in other.flowkit("doctor").stdout
    )


def test_a_query_is_answered_in_every_format(served, connection, tmp_path):
    """A query that is run, polled and fetched is the same as JSON, CSV and GeoJSON, and as what is computed inside."""
    expected = inside(served.place, people())
    query = flowclient.spatial_aggregate(connection=connection, locations=daily())
    query.run()
    query.wait_until_ready(disable_progress=True)
    assert query.status == "completed"
    frame = query.get_result(disable_progress=True)
    assert same(frame.to_dict("records"), expected)
    assert pd.read_csv(query.to_csv(tmp_path / "rows.csv", disable_progress=True)).equals(frame)
    features = query.get_result(format="geojson", disable_progress=True)["features"]
    told = {f["properties"]["pcod"]: f["properties"]["value"] for f in features}
    assert told == dict(zip(frame.pcod, frame.value, strict=True))
    assert {f["geometry"]["type"] for f in features} == {"MultiPolygon"}


def test_days_and_boundaries_are_told(connection):
    """The client is told which days there are, and the boundaries of each level."""
    dates = flowclient.get_available_dates(connection=connection)
    assert {event_type: dates[event_type] for event_type in ("calls", "sms", "mds", "topups")} == dict.fromkeys(
        ("calls", "sms", "mds", "topups"), DAYS
    )
    units = {"admin0": 1, "admin1": 4, "admin2": 14, "admin3": 60}
    for unit, number in units.items():
        told = flowclient.get_geography(connection=connection, aggregation_unit=unit)
        assert len(told["features"]) == number


def test_the_asynchronous_client_gets_the_same(served, token):
    """The client's asynchronous face gets the same rows."""

    async def ask():
        connection = await flowclient.connect_async(url=served.url, token=token)
        query = connection.make_api_query(parameters=moves())
        rows = await query.get_result(disable_progress=True)
        shapes = await query.get_result(format="geojson", disable_progress=True)
        return rows, shapes

    rows, shapes = asyncio.run(ask())
    assert same(rows.to_dict("records"), inside(served.place, moves()))
    assert shapes["type"] == "FeatureCollection"


@pytest.mark.parametrize(
    ("case", "status", "msg"),
    [
        ("none", 401, "Missing Authorization Header"),
        ("expired", 401, "Token has expired"),
        ("of another audience", 422, "Audience doesn't match"),
        ("unsigned", 422, "not signed with RS256"),
        ("signed by another", 422, "ignature"),
    ],
)
def test_a_wrong_token_is_refused(served, case, status, msg):
    """A token that is expired, for another server or not signed by this deployment gets a status and a reason."""
    key = load_private_key((served.place.path / "secrets" / "PRIVATE_JWT_SIGNING_KEY").read_text())
    usual = {
        "flowapi_identifier": "nepal.test",
        "username": "eve",
        "private_key": key,
        "lifetime": dt.timedelta(hours=1),
        "roles": {"r": ["get_available_dates"]},
    }
    good = generate_token(**usual)
    path = f"{served.url}/api/0/available_dates"
    assert httpx.get(path, headers={"Authorization": f"Bearer {good}"}).status_code == 200
    claims = jwt.decode(good, options={"verify_signature": False})
    if case == "signed by another":
        head, body, _ = good.split(".")
        bad = f"{head}.{body}.{served.place.token('eve').rsplit('.', 1)[1]}"
    else:
        bad = {
            "none": lambda: None,
            "expired": lambda: generate_token(**usual | {"lifetime": dt.timedelta(seconds=-5)}),
            "of another audience": lambda: generate_token(**usual | {"flowapi_identifier": "other"}),
            "unsigned": lambda: jwt.encode(claims, None, algorithm="none"),
        }[case]()
    answer = httpx.get(path, headers={"Authorization": f"Bearer {bad}"} if bad else {})
    assert answer.status_code == status
    assert msg in answer.json()["msg"]


def test_roles_allow_what_they_say(served, token):
    """A viewer reads what others ran and runs nothing; a runner runs and reads no result."""
    allowed = Api(served, token)
    viewer = Api(served, served.place.token("vera", "--role", "viewer"))
    runner = Api(served, served.place.token("rudi", "--role", "runner"))
    refusal = viewer.http.post("/run", json=people())
    assert refusal.status_code == 403
    assert "lacks" in refusal.json()["msg"]
    assert "run" in refusal.json()["missing_scopes"]
    query_id = runner.run(people())
    assert query_id == allowed.run(people())
    rows = allowed.rows(query_id)
    assert viewer.http.get(f"/get/{query_id}").json()["query_result"] == rows
    refusal = runner.http.get(f"/get/{query_id}")
    assert refusal.status_code == 403
    assert "get_result" in refusal.json()["missing_scopes"]


def test_a_bad_spec_is_told_over_http(api):
    """What is wrong with a spec is told with its field."""
    for spec, field, told in (
        (people(unit="admin9"), "locations.aggregation_unit", "admin0"),
        (people("2016-13-01"), "locations.date", "not a date"),
        (people() | {"locatons": 1}, "locatons", "no such parameter"),
    ):
        answer = api.http.post("/run", json=spec)
        assert (answer.status_code, answer.json()["status"]) == (400, "error"), answer.text
        assert field in answer.text
        assert told in answer.json()["msg"]
    answer = api.http.post("/run", json=people("2015-01-01"))
    told = api.wait(answer.json()["query_id"]) if answer.status_code == 202 else answer
    assert told.status_code >= 400
    assert "2015-01-01, of which there is no data" in told.json()["msg"]


OTHERS = {
    kind["kind"]: kind["example"]
    for kind in catalogue()["kinds"]
    if kind["top_level"] and kind["kind"] not in {*ASKED, "geography", "dfs_metric_total_amount"}
}


@pytest.mark.parametrize("kind", OTHERS)
def test_every_kind_is_published_as_it_is_released(served, api, kind):
    """Over HTTP, as JSON and as CSV, there are the rows that a session releases, and none of too few people."""
    released = inside(served.place, OTHERS[kind])
    query_id = api.run(OTHERS[kind])
    rows = api.rows(query_id)
    table = list(csv.DictReader(io.StringIO(api.http.get(f"/get/{query_id}.csv").text)))

    assert [list(row) for row in rows] == [list(row) for row in table] == [list(row) for row in released]
    for found in (table, released):
        # Sums of fractions depend on the order of their terms in the last digit.
        values = [float(row["value"]) for row in found if "value" in row]
        assert values == pytest.approx([row["value"] for row in rows if "value" in row])
    if kinds()[kind].counts == "value":
        assert all(row["value"] >= SMALLEST for row in rows)


def test_money_without_deliveries_is_told(api):
    """A kind whose data was never delivered is refused with a sentence that says so."""
    spec = next(k["example"] for k in catalogue()["kinds"] if k["kind"] == "dfs_metric_total_amount")

    answer = api.http.post("/run", json=spec)

    assert answer.status_code == 400
    assert "transactions" in answer.json()["msg"]


@pytest.mark.parametrize("kind", ASKED)
def test_nothing_of_few_people_is_published(served, api, kind):
    """Of each kind, exactly those rows are published that more than 15 people stand behind."""
    spec = ASKED[kind]
    everything = inside(served.place, spec, "--no-released")
    published = api.rows(api.run(spec))
    if kind == "histogram_aggregate":
        assert any(int(row["value"]) < SMALLEST for row in everything)
        assert published == [dict.fromkeys(everything[0])]
        wide = spec | {"bins": {"bin_list": [0, 10**6]}}
        assert same(api.rows(api.run(wide)), inside(served.place, wide, "--no-released"))
        return
    behind = _people_behind(served.place, spec, everything)
    kept = [row for row, number in zip(everything, behind, strict=True) if number >= SMALLEST]
    assert 0 < len(kept) < len(everything), "the test needs rows on either side"
    assert [list(row.values())[:-1] for row in kept] == [[str(v) for v in list(row.values())[:-1]] for row in published]
    assert [float(row["value"]) for row in kept] == pytest.approx([row["value"] for row in published])


def _people_behind(place, spec, rows):
    """How many people stand behind each row, by another question about them."""
    if spec["query_kind"] == "joined_spatial_aggregate":
        counted = {row["pcod"]: row["value"] for row in inside(place, JOINED | {"method": "count"}, "--no-released")}
        return [float(counted[row["pcod"]]) for row in rows]
    if spec["query_kind"] == "location_event_counts":
        counted = {}
        for day, after in (DAYS[:2], DAYS[1:3]):
            seen = inside(place, SEEN | {"start_date": day, "end_date": after}, "--no-released")
            counted |= {(row["pcod"], day): int(row["value"]) for row in seen}
        return [counted[row["pcod"], row["date"]] for row in rows]
    # Of the other kinds, the value is a number of people.
    return [int(row["value"]) for row in rows]


def test_people_s_own_rows_are_not_served(api):
    """Kinds whose rows are about single subscribers cannot be run over the API."""
    for spec in (daily(), EVENTS, RADIUS):
        assert api.http.post("/run", json=spec).status_code in (400, 403)


# ---- stopping, dying, coming back


@pytest.fixture(scope="module")
def mortal(copy_of_model, start_up):
    """A deployment that is up, and will be killed; its machine has a proxy for others, which answers nothing."""
    return start_up(copy_of_model(), HTTP_PROXY="http://127.0.0.1:9", http_proxy="http://127.0.0.1:9")


@pytest.fixture
def asking(mortal):
    return Api(mortal, mortal.place.token("ann"))


def new_specs():
    """Ever new questions."""
    for hour in range(23):
        for before in DAYS:
            for after in DAYS:
                spec = moves(before, after)
                spec["from_location"]["hours"] = {"start_hour": hour, "end_hour": 24}
                yield spec


SPECS = new_specs()


def test_a_second_up_is_refused(mortal):
    """A deployment is up once; the second `flowkit up` says which process holds it, and the first goes on."""
    sentence = refused(mortal.place.flowkit("up"))
    assert f"already up, as process {mortal.process.pid}" in sentence
    mortal.healthy()


def test_a_killed_server_comes_back(mortal, asking):
    """A FlowMachine server killed while it computes is started again; every query ends with the right rows."""
    draw = random.Random(5)
    for _ in range(3):
        # A query that runs at two deaths of the server is put aside: each of these meets one.
        pid, asked = mortal.service("flowmachine.server"), {}
        for _ in range(6):
            spec = next(SPECS)
            asked[asking.run(spec)] = spec
        time.sleep(draw.uniform(0, 0.3))
        os.kill(pid, signal.SIGKILL)
        mortal.healthy()
        assert mortal.service("flowmachine.server") != pid
        _all_right(mortal, asking, asked)


def test_a_killed_up_leaves_no_orphan(mortal, asking):
    """Killed with force, `flowkit up` leaves no process behind; started at once again, it answers what it was asked."""
    for _ in range(2):
        asked = {}
        for _ in range(6):
            spec = next(SPECS)
            asked[asking.run(spec)] = spec
        children = descendants(mortal.process.pid)
        assert len(children) >= 2
        mortal.stop(signal.SIGKILL)
        mortal.start()
        assert gone(children)
        _all_right(mortal, asking, asked)


def test_a_corrected_day_changes_the_answer(mortal, asking, delivery, tmp_path):
    """After a day is loaded again with other rows, its query has a new id and answer; the old id answers 410."""
    spec = people(DAYS[5], "admin2")
    old = asking.run(spec)
    rows = asking.rows(old)
    other = people(DAYS[4], "admin2")
    untouched = asking.run(other)
    # The day after it, delivered under its name: other people at other places.
    for event_type in ("calls", "sms"):
        text = (delivery / event_type / f"{event_type}_20160107.csv").read_text()
        file = tmp_path / f"{event_type}.csv"
        file.write_text(text.replace(DAYS[6], DAYS[5]))
        assert "ingested" in mortal.place.done("ingest", event_type, file)
    new = asking.run(spec)
    assert new != old
    corrected = asking.rows(new)
    assert same(corrected, inside(mortal.place, spec))
    assert corrected != rows
    assert asking.http.get(f"/get/{old}").status_code == 410
    assert asking.run(other) == untouched


def test_sigterm_stops_everything(mortal, asking):
    """Told to stop while it computes, `flowkit up` ends with all its processes, and with exit code 0."""
    for _ in range(4):
        asking.run(next(SPECS))
    children = descendants(mortal.process.pid)
    assert len(children) >= 2
    assert mortal.stop() == 0, mortal.said
    assert not [line for pid, line in children.items() if command_line(pid) == line]
    assert "Traceback" not in mortal.said
    assert "not up" in mortal.place.done("status")


def _all_right(up, api, asked):
    """Every question was answered under the id that it has, with the rows that are computed inside."""
    session = flowmachine.connect(up.place.path / "lake")
    try:
        for query_id, spec in asked.items():
            assert api.rows(query_id) == session.run(spec, release=True).to_pylist()
            assert api.run(spec) == query_id
    finally:
        session.close()
