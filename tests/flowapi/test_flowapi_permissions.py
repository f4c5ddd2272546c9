import json

import pytest

from flowapi.authorisation import scopes_of_schemas

ALL = ["admin3:spatial_aggregate:spatial_aggregate", "admin3:spatial_aggregate:daily_location"]
TOP, NESTED = ALL


def _refused(answer):
    assert answer.status_code == 403
    assert "User claims verification failed" in answer.json()["msg"]
    assert answer.json()["missing_scopes"]
    return answer.json()


@pytest.mark.parametrize(
    ("scopes", "run", "poll", "get", "geojson"),
    [
        (["run", *ALL], 202, 303, 403, 403),
        (["get_result", *ALL], 403, 303, 200, 403),
        (ALL, 403, 303, 403, 403),
        (["get_result", "admin3:geography:geography", *ALL], 403, 303, 200, 200),
        (["get_result", "admin1:geography:geography", *ALL], 403, 303, 200, 403),
        (["run", "get_result", TOP], 403, 404, 404, 404),
        (["run", "get_result", NESTED], 403, 404, 404, 404),
        (["run", "get_result", *(each.replace("admin3", "admin1") for each in ALL)], 403, 404, 404, 404),
        (["run", "get_result"], 403, 403, 403, 403),
        ([], 403, 403, 403, 403),
    ],
    ids=lambda value: "+".join(value)[:60] if isinstance(value, list) else str(value),
)
def test_one_role_decides(call, fake, spec, scopes, run, poll, get, geojson):
    """Each action needs its scopes; a caller who lacks a query's scopes learns nothing of the query."""
    query_id = fake.add(spec)
    roles = {"only": scopes}
    assert call("POST", "/api/0/run", roles, json=spec).status_code == run
    assert call("GET", f"/api/0/poll/{query_id}", roles).status_code == poll
    assert call("GET", f"/api/0/get/{query_id}", roles).status_code == get
    assert call("GET", f"/api/0/get/{query_id}.csv", roles).status_code == get
    assert call("GET", f"/api/0/get/{query_id}.geojson", roles).status_code == geojson


def test_roles_are_not_combined(call, fake, spec):
    """Scopes split over two roles are refused, everywhere, with the scopes that the closest role lacks."""
    query_id = fake.add(spec)
    split = {"one": ["run", TOP], "two": ["run", "get_result", NESTED]}
    body = _refused(call("POST", "/api/0/run", split, json=spec))
    assert "role 'one' comes closest and lacks" in body["msg"]
    assert body["missing_scopes"] == ["admin3:spatial_aggregate:daily_location"]
    assert body["closest_role"] == "one"
    assert _refused(call("GET", f"/api/0/poll/{query_id}", split))["missing_scopes"] == [NESTED]
    _refused(call("GET", f"/api/0/get/{query_id}", split))
    acting_apart = {"one": ["run", *ALL], "two": ["get_result"]}
    assert _refused(call("GET", f"/api/0/get/{query_id}", acting_apart))["missing_scopes"] == ["get_result"]


def test_the_geography_scope_may_come_from_another_role(call, fake, spec):
    """GeoJSON needs the right to the result and the right to the boundaries, each whole in a role."""
    query_id = fake.add(spec)
    roles = {"reader": ["get_result", *ALL], "maps": ["get_result", "admin3:geography:geography"]}
    assert call("GET", f"/api/0/get/{query_id}.geojson", roles).status_code == 200
    roles["maps"].remove("get_result")
    assert call("GET", f"/api/0/get/{query_id}.geojson", roles).status_code == 403


def test_a_result_without_geometry_is_no_geojson(call, fake):
    """A nonspatial result cannot be had as GeoJSON, and the answer says so."""
    spec = {"query_kind": "histogram_aggregate", "metric": {"query_kind": "event_count"}}
    answer = call("GET", f"/api/0/get/{fake.add(spec)}.geojson")
    assert answer.status_code == 403
    assert "no geometry" in answer.json()["msg"]


def test_nonspatial_queries_have_scopes_of_their_own(call):
    """A query without a unit needs nonspatial scopes."""
    spec = {"query_kind": "histogram_aggregate", "metric": {"query_kind": "event_count"}}
    roles = {"r": ["run", *(f"nonspatial:histogram_aggregate:{k}" for k in ("histogram_aggregate", "event_count"))]}
    assert call("POST", "/api/0/run", roles, json=spec).status_code == 202
    roles = {"r": [scope.replace("nonspatial", "admin3") for scope in roles["r"]]}
    _refused(call("POST", "/api/0/run", roles, json=spec))


@pytest.mark.parametrize("path", ["poll/{}", "get/{}", "get/{}.csv", "get/{}.geojson"])
@pytest.mark.parametrize("roles", [{"r": ["run", "get_result", "admin3:flows:flows"]}, {"r": ["get_result"]}, {}])
def test_a_forbidden_id_looks_like_an_unknown_one(call, fake, spec, path, roles):
    """Who lacks a query's scopes gets the very answer that an id gets that does not exist."""
    forbidden = call("GET", f"/api/0/{path.format(fake.add(spec))}", roles)
    unknown = call("GET", f"/api/0/{path.format('f' * 32)}", roles)
    assert forbidden.status_code == unknown.status_code
    bodies = [{k: v for k, v in each.json().items() if k != "request_id"} for each in (forbidden, unknown)]
    assert bodies[0] == bodies[1]
    assert set(forbidden.headers) == set(unknown.headers)


def test_a_forbidden_id_cannot_be_cancelled(call, fake, spec):
    """Cancelling needs what running needs."""
    query_id = fake.add(spec, state="executing", error="stay")
    assert call("POST", f"/api/0/cancel/{query_id}", {"r": ["run", TOP]}).status_code == 404
    _refused(call("POST", f"/api/0/cancel/{query_id}", {"r": ["get_result", *ALL]}))
    assert fake.queries[query_id].state == "executing"


def test_nothing_is_said_of_a_spec_before_its_kinds_are_allowed(call, fake, spec):
    """Who may not run a kind is not told what is wrong with the spec; who may run nothing does not reach the server."""
    spec["locations"]["aggregation_unit"] = "admin9"
    before = len(fake.actions)
    _refused(call("POST", "/api/0/run", {"r": ["get_result", "admin3:flows:flows"]}, json=spec))
    assert len(fake.actions) == before
    body = _refused(call("POST", "/api/0/run", {"r": ["run", "admin3:flows:flows"]}, json=spec))
    assert "Must be one of" not in json.dumps(body)
    assert body["missing_scopes"] == ["*:spatial_aggregate:daily_location", "*:spatial_aggregate:spatial_aggregate"]


def test_kinds_hidden_deep_in_a_spec_count(call, spec):
    """A kind in a subset inside a list inside a query needs its scope too, which is one for all units and queries."""
    spec["locations"]["subscriber_subset"] = [{"x": {"query_kind": "flows"}}]
    body = _refused(call("POST", "/api/0/run", {"r": ["run", *ALL]}, json=spec))
    assert body["missing_scopes"] == ["nonspatial:subscriber_subset:flows"]


def test_the_unit_is_the_servers_not_the_callers(call, fake, spec):
    """A unit written at the top of a spec changes nothing: the server says which unit a query has."""
    roles = {"r": ["run", *(each.replace("admin3", "admin1") for each in ALL)]}
    _refused(call("POST", "/api/0/run", roles, json={**spec, "aggregation_unit": "admin1"}))
    assert "run_query" not in {each["action"] for each in fake.actions if each["params"].get("aggregation_unit")}


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/api/0/available_dates", "get_available_dates"),
        ("/api/0/qa/", "get_qa_checks"),
        ("/api/0/qa/calls/count_null_imeis/2016-01-01", "get_qa_checks"),
    ],
)
def test_simple_scopes_open_simple_routes(call, path, scope):
    """One scope is enough, and no other will do."""
    assert call("GET", path, {"r": [scope]}).status_code == 200
    assert _refused(call("GET", path, {"r": ["run", "get_result"]}))["missing_scopes"] == [scope]


def test_boundaries_need_a_reading_role(call):
    """The geography of a unit needs get_result and the unit's scope in one role."""
    scope = "admin3:geography:geography"
    assert call("GET", "/api/0/geography/admin3", {"r": ["get_result", scope]}).status_code == 200
    _refused(call("GET", "/api/0/geography/admin3", {"r": [scope], "s": ["get_result"]}))
    _refused(call("GET", "/api/0/geography/admin2", {"r": ["get_result", scope]}))
    _refused(call("GET", "/api/0/geography/admin9", {"r": ["get_result", scope]}))


def test_a_backend_that_leaves_out_the_kinds_grants_nothing(call, fake, spec, monkeypatch):
    """When the server's answer lacks what permissions are computed from, the request fails."""
    monkeypatch.setattr(
        fake,
        "do_get_query_params",
        lambda query_id: [
            {"status": "success", "msg": "", "payload": {"aggregation_unit": "admin3", "query_params": spec}}
        ],
        raising=False,
    )
    answer = call("GET", f"/api/0/poll/{fake.add(spec)}")
    assert answer.status_code == 500
    assert "query_kinds" in answer.json()["msg"]


def test_scopes_are_listed_through_circles_and_null():
    """Scopes are units by kinds, found through references, nullable slots and schemas that refer in a circle."""
    schemas = {
        "A": {
            "properties": {
                "query_kind": {"enum": ["a"]},
                "aggregation_unit": {"anyOf": [{"$ref": "#/components/schemas/Unit"}, {"type": "null"}]},
                "inner": {"anyOf": [{"$ref": "#/components/schemas/B"}, {"type": "null"}]},
            }
        },
        "B": {
            "properties": {
                "query_kind": {"const": "b"},
                "again": {"type": "array", "items": {"$ref": "#/components/schemas/A"}},
            }
        },
        "C": {"properties": {"query_kind": {"enum": ["c"]}}},
        "Unit": {"enum": ["admin0", "admin1"]},
        "FlowmachineQuerySchema": {"oneOf": [{"$ref": "#/components/schemas/A"}, {"$ref": "#/components/schemas/C"}]},
    }
    assert scopes_of_schemas(schemas) == [
        "admin0:a:a",
        "admin0:a:b",
        "admin1:a:a",
        "admin1:a:b",
        "get_available_dates",
        "get_qa_checks",
        "get_result",
        "nonspatial:c:c",
        "run",
    ]
