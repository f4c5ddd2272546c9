from fnmatch import fnmatchcase

from hypothesis import example, given
from hypothesis import strategies as st

from flowkit_jwt_generator import scopes

names = st.from_regex(r"[a-z][a-z0-9_-]{0,12}", fullmatch=True)
units = st.sampled_from(["admin0", "admin3", "lon-lat", "grid-10km", scopes.NO_UNIT])
query_scopes = st.builds(scopes.compose, units, names, names)
any_scope = st.one_of(query_scopes, st.sampled_from(scopes.ACTIONS))


@given(st.none() | units, names, names)
def test_a_scope_is_split_into_what_it_was_composed_of(unit, top, kind):
    """Unit, top kind and kind come back from a scope; a query without a unit has `nonspatial`."""
    scope = scopes.compose(unit, top, kind)
    parts = scopes.split(scope)
    assert parts == (unit or "nonspatial", top, kind)
    assert str(parts) == scope
    assert parts.is_own == (top == kind)


@given(st.text(alphabet="ab:*", max_size=12))
@example("run")
@example("a::b")
@example("a:b:c:d")
def test_only_three_parts_are_a_scope_of_queries(text):
    """What has fewer or more than three parts, or an empty one, is no scope of queries."""
    pieces = text.split(":")
    assert (scopes.split(text) is not None) == (len(pieces) == 3 and "" not in pieces)


@given(st.tuples(*[st.text(alphabet="ab:", max_size=5)] * 3), st.tuples(units, names, names))
def test_no_name_with_a_colon_passes_for_another_scope(parts, honest):
    """A kind or unit that somebody writes with colons never gives the scope of another query."""
    composed = scopes.compose(*parts)
    assert composed != scopes.compose(*honest) or ":" not in "".join(parts)


@given(any_scope, st.lists(st.text(alphabet="admin03flows_:*?", max_size=16), max_size=3))
@example("admin3:flows:daily_location", ["admin3:*"])
@example("admin3:flows:flows", ["*:flows:flows", "run"])
def test_patterns_match_as_they_always_did(scope, patterns):
    """A star stands for any text, colons included: FlowAuth and deployments have patterns that rely on it."""
    assert scopes.matches(scope, patterns) == any(fnmatchcase(scope, pattern) for pattern in patterns)
    assert scopes.matching([scope], patterns) == ([scope] if scopes.matches(scope, patterns) else [])


@given(st.lists(any_scope, unique=True))
def test_ordering_keeps_every_scope(listed):
    """Ordering loses nothing and does not depend on the order before."""
    assert sorted(scopes.in_order(listed)) == sorted(listed)
    assert scopes.in_order(listed[::-1]) == scopes.in_order(listed)


def test_people_read_actions_first_and_a_kind_before_its_parts():
    """Actions come first, then units by name and `nonspatial` last; below each, a kind before what it may contain."""
    expected = [
        "get_result", "run", "admin1:flows:flows", "admin1:flows:daily_location", "admin3:flows:flows",
        "nonspatial:histogram_aggregate:histogram_aggregate", "nonspatial:histogram_aggregate:event_count",
    ]  # fmt: skip
    assert scopes.in_order(reversed(expected)) == expected


def test_a_query_needs_its_kinds_at_its_unit_and_its_subsets_at_none():
    """Each kind is granted within its top kind and unit, as in FlowKit; kinds that choose subscribers, for all."""
    assert scopes.query_scopes("admin3", "flows", ["daily_location"], ["event_count"]) == {
        "admin3:flows:flows",
        "admin3:flows:daily_location",
        "nonspatial:subscriber_subset:event_count",
    }
    assert scopes.geography_scope("admin2") == "admin2:geography:geography"
