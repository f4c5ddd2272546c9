import copy
import functools
import re

import httpx
import jsonschema_rs
import pytest
import yaml

from flowkit_jwt_generator.scopes import split
from flowmachine.catalogue import catalogue

EXAMPLES = {kind["kind"]: kind["example"] for kind in catalogue()["kinds"] if kind["top_level"]}


@pytest.fixture(scope="module")
def document(flowapi):
    return httpx.get(f"{flowapi.url}/api/0/spec/openapi.json", timeout=20).json()


def test_the_description_lists_scopes_and_name(call):
    """The description names the server and every scope, and holds the server's schemas."""
    answer = call("GET", "/api/0/spec/openapi.json", None)
    assert answer.status_code == 200
    document = answer.json()
    token = document["components"]["securitySchemes"]["token"]
    assert (token["type"], token["scheme"], token["bearerFormat"]) == ("http", "bearer", "JWT")
    assert token["x-audience"] == "TEST_SERVER"
    scopes = token["x-security-scopes"]
    assert scopes == sorted(set(scopes))
    for expected in (
        "run",
        "get_result",
        "get_available_dates",
        "get_qa_checks",
        "lon-lat:flows:modal_location",
        "admin3:spatial_aggregate:daily_location",
        "nonspatial:histogram_aggregate:event_count",
        "admin3:geography:geography",
    ):
        assert expected in scopes
    aggregates = document["components"]["schemas"]["FlowmachineQuerySchema"]["discriminator"]["mapping"]
    assert {parts.top for parts in map(split, scopes) if parts} == {*aggregates, "subscriber_subset"}
    assert "nonspatial:subscriber_subset:daily_location" in scopes
    assert document["openapi"].startswith("3.")
    assert set(document["paths"]) >= {
        "/api/0/run",
        "/api/0/poll/{query_id}",
        "/api/0/get/{query_id}",
        "/api/0/get/{query_id}.{filetype}",
        "/api/0/available_dates",
        "/api/0/geography/{aggregation_unit}",
        "/api/0/qa/{cdr_type}/{check_id}/{check_date}",
    }


def test_every_reference_in_the_description_leads_somewhere(call):
    """No reference of the description is dangling, and every schema is a valid JSON schema."""
    document = call("GET", "/api/0/spec/openapi.json", None).json()
    text = str(document)
    names = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert names <= set(document["components"]["schemas"])
    for schema in document["components"]["schemas"].values():
        assert jsonschema_rs.meta.is_valid(schema)
    operations = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(operations) == len(set(operations))


def test_readers_that_write_out_every_reference_come_to_an_end(call):
    """The description unfolds to few schemas, though queries nest in queries without end."""
    components = call("GET", "/api/0/spec/openapi.json", None).json()["components"]["schemas"]
    most = 20_000
    unfolded = 0
    waiting = [(component, frozenset()) for component in components.values()]
    while waiting and unfolded < most:
        schema, path = waiting.pop()
        name = schema.get("$ref", "").removeprefix("#/components/schemas/")
        if name:
            # A reader ends a path where it meets a schema again that it is in.
            waiting += [(components[name], path | {name})] if name not in path else []
            continue
        unfolded += 1
        inner = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
        inner += [each for word in ("oneOf", "anyOf", "allOf") for each in schema.get(word, [])]
        waiting += [(each, path) for each in inner if isinstance(each, dict)]
    assert 1_000 < unfolded < most


@pytest.mark.parametrize(("kind", "example"), EXAMPLES.items())
def test_the_description_says_which_specs_are_valid(document, kind, example):
    """Each kind's example is valid by the description; with a parameter that there is not, at any depth, it is not."""
    valid = jsonschema_rs.validator_for(
        {"$ref": "#/components/schemas/FlowmachineQuerySchema", "components": document["components"]}
    ).is_valid
    assert valid(example)
    for path in nested_specs(example):
        changed = copy.deepcopy(example)
        spec = functools.reduce(lambda value, step: value[step], path, changed)
        spec["no_such_parameter"] = 1
        assert not valid(changed), path


def nested_specs(value, path=()):
    """The paths of a spec and of every spec inside it."""
    if isinstance(value, dict) and "query_kind" in value:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in items:
        yield from nested_specs(inner, (*path, step))


def test_answers_are_what_the_description_says(call, fake, spec):
    """Each answer, good or bad, has a status, a media type and a form that the description announces."""
    document = call("GET", "/api/0/spec/openapi.json", None).json()
    query_id = fake.add(spec)
    running = fake.add({**spec, "running": True}, state="executing", error="stay")
    failed = fake.add({**spec, "failed": True}, state="errored", error="Why.")
    check = "/api/0/qa/{cdr_type}/{check_id}"
    made = [
        ("post", "/api/0/run", "/api/0/run", {"json": spec}),
        ("post", "/api/0/run", "/api/0/run", {"json": {}}),
        ("post", "/api/0/run", "/api/0/run", {"json": spec, "roles": {}}),
        ("get", "/api/0/poll/{query_id}", f"/api/0/poll/{running}", {}),
        ("get", "/api/0/poll/{query_id}", f"/api/0/poll/{query_id}", {}),
        ("get", "/api/0/poll/{query_id}", f"/api/0/poll/{failed}", {}),
        ("get", "/api/0/poll/{query_id}", "/api/0/poll/unknown", {}),
        ("get", "/api/0/get/{query_id}", f"/api/0/get/{query_id}", {}),
        ("get", "/api/0/get/{query_id}", f"/api/0/get/{running}", {}),
        ("get", "/api/0/get/{query_id}.{filetype}", f"/api/0/get/{query_id}.json", {}),
        ("get", "/api/0/get/{query_id}.{filetype}", f"/api/0/get/{query_id}.geojson", {}),
        ("get", "/api/0/get/{query_id}.{filetype}", f"/api/0/get/{query_id}.xlsx", {}),
        ("post", "/api/0/cancel/{query_id}", f"/api/0/cancel/{running}", {}),
        ("get", "/api/0/available_dates", "/api/0/available_dates", {}),
        ("get", "/api/0/available_dates", "/api/0/available_dates", {"roles": None}),
        ("get", "/api/0/geography/{aggregation_unit}", "/api/0/geography/admin3", {}),
        ("get", "/api/0/qa/", "/api/0/qa/", {}),
        ("get", check, "/api/0/qa/calls/count_null_imeis?start_date=2016-01-01&end_date=2016-01-01", {}),
        ("get", check, "/api/0/qa/calls/count_null_imeis", {}),
        ("get", "/api/0/health", "/api/0/health", {}),
    ]
    for method, template, path, options in made:
        answer = call(method.upper(), path, **options)
        described = document["paths"][template][method]["responses"][str(answer.status_code)]
        schema = described["content"][answer.headers["Content-Type"]].get("schema", {})
        jsonschema_rs.validate({**schema, "components": document["components"]}, answer.json())


def test_the_yaml_description_is_the_same(call):
    """YAML and JSON say the same."""
    text = call("GET", "/api/0/spec/openapi.yaml", None)
    assert text.headers["Content-Type"].startswith("application/yaml")
    assert yaml.safe_load(text.text) == call("GET", "/api/0/spec/openapi.json", None).json()


def test_the_description_is_not_sent_twice(call, fake, monkeypatch):
    """Who has the description gets 304; when the server's schemas change, a new one."""
    first = call("GET", "/api/0/spec/openapi.json", None)
    known = {"If-None-Match": first.headers["ETag"]}
    assert call("GET", "/api/0/spec/openapi.json", None, headers=known).status_code == 304
    smaller = {name: schema for name, schema in fake.schemas.items() if name != "FlowmachineQuerySchema"}
    smaller["FlowmachineQuerySchema"] = {"oneOf": [{"$ref": "#/components/schemas/Geography"}]}
    monkeypatch.setattr(fake, "schemas", smaller)
    changed = call("GET", "/api/0/spec/openapi.json", None, headers=known)
    assert changed.status_code == 200
    units = smaller["Geography"]["properties"]["aggregation_unit"]["enum"]
    assert len(changed.json()["components"]["securitySchemes"]["token"]["x-security-scopes"]) == len(units) + 4


def test_the_page_for_people_loads_nothing_from_elsewhere(call):
    """The page, its script and its picture come from this server, and the browser is told to allow nothing else."""
    page = call("GET", "/api/0/spec/redoc", None)
    assert page.headers["Content-Type"].startswith("text/html")
    assert not re.search(r"https?://|//[a-z]", page.text)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    loaded = re.findall(r'(?:src|href|spec-url)="([^"]+)"', page.text)
    assert set(loaded) == {"openapi.json", "assets/redoc.standalone.js", "assets/favicon.png"}
    for name in loaded:
        assert call("GET", f"/api/0/spec/{name}", None).status_code == 200
    script = call("GET", "/api/0/spec/assets/redoc.standalone.js", None)
    assert "cdn.redoc.ly" not in script.text


def test_the_page_for_people_is_drawn(flowapi, chromium):
    """A browser without a network draws the real description, under the page's own policy, in little memory."""
    page = chromium.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.goto(f"{flowapi.url}/api/0/spec/redoc")
    page.get_by_role("heading", level=1, name="FlowAPI").wait_for(timeout=60_000)
    page.get_by_role("heading", name="Run a query.").wait_for()
    page.get_by_role("heading", name="Fetch the boundaries of a unit.").wait_for()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    assert metrics["JSHeapUsedSize"] < 300_000_000
    assert problems == []
    page.close()
