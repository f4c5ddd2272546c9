"""The catalogue of states and checks."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from flowdb import records
from flowdb.lake import LakeError
from flowdb.records import (
    Catalogue,
    available_dates,
    get_checks,
    latest_states,
    list_checks,
    metadata,
    record_qa,
    record_state,
)

DAY = dt.date(2016, 1, 1)


@pytest.fixture
def catalogue(tmp_path):
    """A new catalogue in SQLite."""
    return Catalogue.open(f"sqlite:///{tmp_path}/catalogue.db")


def test_migrations_make_what_is_declared(catalogue):
    """A database made by the migrations has exactly the declared tables, columns and indexes."""
    with catalogue.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_opening_again_keeps_what_is_there(catalogue):
    """Opening a catalogue that exists changes nothing in it."""
    record_state(catalogue, "calls", DAY, "found")
    again = Catalogue.open(str(catalogue.engine.url))
    assert [(s.day, s.state) for s in latest_states(again)] == [(DAY, "found")]


def test_many_may_open_a_new_catalogue_at_once(tmp_path):
    """Services that start together make the catalogue once."""
    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(lambda _: Catalogue.open(f"sqlite:///{tmp_path}/new.db"), range(6)))
    for catalogue in opened:
        assert latest_states(catalogue) == []


def test_the_newest_state_of_a_day_holds(catalogue):
    """States are appended; the newest counts, by type and day."""
    for state in ("found", "loading", "ingested"):
        record_state(catalogue, "calls", DAY, state)
    record_state(catalogue, "sms", DAY, "failed", "disk full")
    assert [(s.event_type, s.state, s.reason) for s in latest_states(catalogue)] == [
        ("calls", "ingested", None),
        ("sms", "failed", "disk full"),
    ]
    assert [s.state for s in latest_states(catalogue, "sms")] == ["failed"]
    assert latest_states(catalogue)[0].timestamp.tzinfo is not None
    with pytest.raises(ValueError, match="'lost' is none of found, loading"):
        record_state(catalogue, "calls", DAY, "lost")


def test_a_day_that_comes_again_stays_available_until_it_is_replaced(catalogue):
    """A failed re-delivery takes nothing away; a withdrawal does."""
    for state in ("ingested", "loading", "failed"):
        record_state(catalogue, "calls", DAY, state)
    assert available_dates(catalogue) == {"calls": [DAY]}
    record_state(catalogue, "calls", DAY, "withdrawn", "wrong")
    assert available_dates(catalogue) == {}


def test_checks_are_the_newest_of_days_that_are_in(catalogue):
    """Of a check that ran twice the later result holds; days that are not in have none; ranges exclude their end."""
    later = DAY + dt.timedelta(days=1)
    for day in (DAY, later):
        record_state(catalogue, "calls", day, "ingested")
        for outcome in ("1", "2"):
            record_qa(catalogue, "calls", day, "count_added_rows", outcome=outcome)
    record_qa(catalogue, "sms", DAY, "count_added_rows", outcome="9")
    assert list_checks(catalogue) == [("calls", "count_added_rows")]
    assert [(c.day, c.outcome) for c in get_checks(catalogue)] == [(DAY, "2"), (later, "2")]
    assert [c.day for c in get_checks(catalogue, "calls", "count_added_rows", DAY, later)] == [DAY]
    assert get_checks(catalogue, "calls", "count_imeis") == []


def test_writers_wait_for_each_other(catalogue):
    """Twenty writers at once lose nothing."""
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda n: record_state(catalogue, "calls", DAY + dt.timedelta(days=n), "found"), range(20)))
    assert len(latest_states(catalogue)) == 20


@pytest.mark.parametrize("url", ["nonsense", "oracle12://x", "sqlite:////no/such/folder/c.db"])
def test_a_catalogue_that_cannot_be_opened_is_a_sentence(url):
    """A wrong address or a database that is not there is said without a traceback."""
    with pytest.raises(LakeError, match=r"catalogue"):
        Catalogue.open(url)


def test_the_names_of_checks_are_read_without_their_results(catalogue, monkeypatch):
    """Each name stands once however many days have it, and no result of a day is fetched for it."""
    for day in (DAY, DAY + dt.timedelta(days=1), DAY + dt.timedelta(days=2)):
        record_state(catalogue, "calls", day, "ingested")
        for name in ("count_imeis", "count_added_rows"):
            record_qa(catalogue, "calls", day, name, outcome="1")
    record_state(catalogue, "sms", DAY, "withdrawn")
    record_qa(catalogue, "sms", DAY, "count_imeis", outcome="1")
    monkeypatch.setattr(records, "get_checks", pytest.fail)
    assert list_checks(catalogue) == [("calls", "count_added_rows"), ("calls", "count_imeis")]
