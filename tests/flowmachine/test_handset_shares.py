"""Shares of handsets are told so that those of too few people cannot be told from the others."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from tests.flowmachine.test_kinds_on_engines import ENGINES

from flowmachine.release import SMALLEST
from flowmachine.testing import Cell, Event, World, rows

DAY = {"start_date": "2016-01-01", "end_date": "2016-01-02"}
HOME = {"query_kind": "daily_location", "date": "2016-01-01", "aggregation_unit": "admin1", "method": "last"}
BRANDS = {n: f"Brand {chr(64 + n)}" for n in range(1, 8)}


def asked(method):
    handset = {"query_kind": "handset", "characteristic": "brand", "method": "last", **DAY}
    return {"query_kind": "joined_spatial_aggregate", "locations": HOME, "metric": handset, "method": method}


def town(users, cell="a", first=0):
    """Events of so many people with each handset."""
    tacs = [tac for tac, people in users.items() for _ in range(people)]
    return [Event("calls", first + n, "2016-01-01T08:00", cell, values={"tac": tac}) for n, tac in enumerate(tacs)]


def world_of(events):
    tacs = [{"id": n, "brand": brand} for n, brand in BRANDS.items()]
    return World(events, [Cell("a", pcods={"admin1": "N"}), Cell("b", pcods={"admin1": "S"})], tacs=tacs)


def may_be_told(users):
    """The handsets that may be told: from the smallest on, withheld are none, or at least two of enough people."""
    ascending = sorted((n, BRANDS[tac]) for tac, n in users.items() if n)
    withheld = [(n, brand) for n, brand in ascending if n < SMALLEST]
    while withheld and len(withheld) < len(ascending):
        if len(withheld) >= 2 and sum(n for n, _ in withheld) >= SMALLEST:
            break
        withheld = ascending[: len(withheld) + 1]
    return {brand for _, brand in ascending[len(withheld) :]}


@pytest.mark.takes_long("asks about forty worlds of random handsets")
@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
)
@example({1: 40, 2: 15})
@example({1: 40, 2: 20, 3: 1})
@example({1: 40, 2: 8, 3: 8})
@example({1: 40, 2: 8, 3: 7})
@example({1: 16, 2: 16, 3: 16, 4: 15})
@given(st.dictionaries(st.sampled_from(sorted(BRANDS)), st.integers(0, 40), min_size=1))
def test_a_withheld_share_cannot_be_told_from_the_others(ask_duckdb, users):
    """Whoever adds up the shares of a place finds none missing, or two at least, of 16 people together."""
    session = ask_duckdb(world_of(town(users) + town({1: 3}, "b", 1000)))

    whole = {key: value for place, _, key, value in rows(session.run(asked("distr"))) if place == "N"}
    told = {key: value for _, _, key, value in rows(session.run(asked("distr"), release=True))}
    session.close()

    people = sum(users.values())
    assert whole == pytest.approx({BRANDS[tac]: n / people for tac, n in users.items() if n})
    assert told == pytest.approx({key: whole[key] for key in may_be_told(users)})
    hidden = {key: round(share * people) for key, share in whole.items() if key not in told}
    assert not hidden or not told or (len(hidden) >= 2 and sum(hidden.values()) >= SMALLEST)


@pytest.fixture(params=ENGINES)
def ask(request):
    """Opens a session on each engine."""
    return request.getfixturevalue(f"ask_{request.param}")


def test_shares_and_the_commonest_are_the_same_on_every_engine(ask):
    """Shares are told by place and handset, in order; of equally common handsets, the one that sorts first is told."""
    users = {1: 20, 2: 20, 3: 9, 4: 7}
    session = ask(world_of(town(users) + town({5: 3}, "b", 1000)))

    shares = rows(session.run(asked("distr"), release=True))
    whole = rows(session.run(asked("distr")))
    modes = rows(session.run(asked("mode")))
    published = rows(session.run(asked("mode"), release=True))

    assert shares == [("N", "value", "Brand A", 20 / 56), ("N", "value", "Brand B", 20 / 56)]
    assert Counter(place for place, *_ in whole) == {"N": 4, "S": 1}
    assert modes == [("N", "Brand A"), ("S", "Brand E")]
    assert published == [("N", "Brand A")]
