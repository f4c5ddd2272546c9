"""The audit log: what was done stands in it, and nobody takes it out, changes it or slips something in unseen."""

import datetime as dt
import json

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session
from tests.flowauth.conftest import PASSWORD, SCOPES, document

from flowauth.database import Database
from flowauth.services import audit, keys, people, roles, servers, tokens, two_factor
from flowauth.services.limits import Limits
from flowauth.tables import AuditRecord, Role, Server, User

ANOTHER_PASSWORD = "Velvet-osprey-17-kettle"


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def written(request, tmp_path_factory):
    """A database on either engine, with ten records in its log."""
    if request.param == "sqlite":
        yield from _written(f"sqlite:///{tmp_path_factory.mktemp('log') / 'log.db'}")
        return
    with request.getfixturevalue("postgres").database() as url:
        yield from _written(url)


def _written(uri):
    database = Database(uri)
    with database.write() as session:
        for number in range(10):
            before = {"latest": dt.datetime(2027, 1, 31, tzinfo=dt.UTC), "scopes": ["a", "ü\N{SNOWMAN}"]}
            audit.record(session, "ada", "thing.change", f"thing {number}", before=before, after={"number": number})
    yield database
    database.close()


@pytest.fixture
def log(written):
    """A session in which the log is tampered with; it is given back as it was."""
    with Session(written.engine) as session:
        yield session
        session.rollback()


def _records(session: Session) -> list[AuditRecord]:
    return list(session.scalars(sa.select(AuditRecord).order_by(AuditRecord.id)))


def _broken(session: Session) -> int | None:
    session.flush()
    session.expire_all()
    return audit.first_broken(session)


def test_an_untouched_log_holds(log):
    """A log that nobody touched holds from its first record to its last, also when it is read anew."""
    assert _broken(log) is None
    assert [record.subject for record in _records(log)] == [f"thing {number}" for number in range(10)]


CHANGES = {
    "actor": "eve",
    "action": "thing.forget",
    "subject": "another thing",
    "at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    "before": {"latest": None},
    "after": {"number": 99},
    "previous": "f" * 64,
    "hash": "e" * 64,
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_changed_record_is_found(log, field):
    """Whatever is changed of a record, the check names that record."""
    changed = _records(log)[4].id
    log.execute(sa.update(AuditRecord).where(AuditRecord.id == changed).values({field: CHANGES[field]}))
    assert _broken(log) == changed


def test_a_record_that_was_sealed_anew_is_found_at_the_next(log):
    """Who changes a record and computes its hash anew has the next record against them."""
    changed, following = _records(log)[4:6]
    changed.actor = "eve"
    changed.hash = audit.sealed(changed)
    assert _broken(log) == following.id


@pytest.mark.parametrize("place", [0, 5])
def test_a_record_that_was_taken_out_is_found(log, place):
    """Where a record is missing, at the beginning too, the one after it is named."""
    gone, following = (record.id for record in _records(log)[place : place + 2])
    log.execute(sa.delete(AuditRecord).where(AuditRecord.id == gone))
    assert _broken(log) == following


def test_a_record_that_was_slipped_in_is_found(log):
    """A record that is slipped in between two, whole in itself, does not fit the one after it."""
    records = [(record.id, record.hash, record.at) for record in _records(log)]
    # Room is made by moving the records after it.
    for number, _, _ in reversed(records[5:]):
        log.execute(sa.update(AuditRecord).where(AuditRecord.id == number).values(id=number + 1))
    log.expire_all()
    slipped = AuditRecord(
        id=records[5][0],
        at=records[4][2],
        actor="eve",
        action="user.create",
        subject="mallory",
        before=None,
        after=None,
        previous=records[4][1],
    )
    slipped.hash = audit.sealed(slipped)
    log.add(slipped)
    assert _broken(log) == records[5][0] + 1


def test_two_records_that_changed_places_are_found(log):
    """The order of the records is part of what they say."""
    first, second = (record.id for record in _records(log)[3:5])
    for number, to in ((first, -1), (second, first), (-1, second)):
        log.execute(sa.update(AuditRecord).where(AuditRecord.id == number).values(id=to))
    assert _broken(log) == first


def test_the_last_hash_tells_that_the_end_is_missing(log):
    """Records that are cut off at the end leave a whole chain, but not the last hash that was noted elsewhere."""
    noted = _records(log)[-1].hash
    log.execute(sa.delete(AuditRecord).where(AuditRecord.hash == noted))
    assert _broken(log) is None
    assert _records(log)[-1].hash != noted


def test_the_check_keeps_nobody_from_writing(written):
    """While the log is checked others write on, and what is checked is the log as it was when the check began."""
    with written.read() as checking:
        assert audit.first_broken(checking) is None
        before = _records(checking)[-1].id
        with written.write() as session:
            audit.record(session, "ada", "thing.change", "meanwhile", after={"number": 10})
        assert audit.first_broken(checking) is None
        assert _records(checking)[-1].id == before
    with written.read() as session:
        last = _records(session)[-1]
        assert (last.subject, audit.first_broken(session)) == ("meanwhile", None)
        added = last.id
    with Session(written.engine) as session:
        session.execute(sa.delete(AuditRecord).where(AuditRecord.id == added))
        session.commit()


@pytest.mark.parametrize("stored", ['{"number": 4}', '{"number":4.0}', '{"number":5,"number":4}'])
def test_a_record_that_is_written_otherwise_is_found(log, stored):
    """What a record says is sealed letter by letter: the same in other words, or twice, is found."""
    changed = _records(log)[4].id
    put = sa.text("UPDATE audit SET after = :stored WHERE id = :changed")
    if log.get_bind().dialect.name == "postgresql":
        put = sa.text("UPDATE audit SET after = CAST(:stored AS json) WHERE id = :changed")
    log.execute(put, {"stored": stored, "changed": changed})
    assert _broken(log) == changed


def _log_of(database: Database) -> list[AuditRecord]:
    with database.read() as session:
        found = _records(session)
        session.expunge_all()
        return found


def _break_in(database: Database) -> int | None:
    with database.read() as session:
        return audit.first_broken(session)


def _add_and_fail(database: Database) -> None:
    with database.write() as session:
        people.create(session, "ada", "bob", PASSWORD)
        1 / 0  # noqa: B018 - what goes wrong


def test_what_is_refused_leaves_no_record(database, administrator):
    """A record lives and dies with the transaction that did the thing."""
    before = len(_log_of(database))
    with pytest.raises(ZeroDivisionError):
        _add_and_fail(database)
    assert len(_log_of(database)) == before
    with database.read() as session:
        assert people.named(session, "bob") is None


def test_every_act_of_administration_is_told(database, vault, settings, administrator, analyst, server, make_role):
    """Whatever an administrator does is in the log: who did it, to what, what it was and what it is."""
    role = make_role("viewer", users=[analyst])

    def do(act):
        """Do something in a transaction of its own, with the person, the server and the role as they are then."""
        with database.write() as session:
            found = (session.get(User, analyst.id), session.get(Server, server.id), session.get(Role, role.id))
            return act(session, *found)

    made = do(lambda session, ann, there, held: tokens.issue(session, vault, ann, there, [held], name="mine")).token
    wanted = roles.Definition("viewer", frozenset({role.scopes[0].id}), frozenset({analyst.id}), Limits(None, 60))
    do(lambda session, ann, there, held: roles.change(session, "ada", held, wanted))
    do(lambda session, ann, there, held: people.change(session, "ada", ann, is_admin=True, password=ANOTHER_PASSWORD))
    address = "http://127.0.0.1:9090"
    do(lambda session, ann, there, held: servers.change(session, "ada", there, Limits(None, 1440), address))
    do(lambda session, ann, there, held: servers.enable(session, "ada", there, {role.scopes[0].id: False}))
    smaller = servers.read_document(document(scopes=["run", "get_result"]))
    do(lambda session, ann, there, held: servers.follow(session, "ada", there, smaller))
    do(lambda session, ann, there, held: roles.delete(session, "ada", held))
    do(lambda session, ann, there, held: servers.delete(session, "ada", there))
    do(lambda session, ann, there, held: people.delete(session, "ada", ann))
    key = do(lambda session, *_: keys.announce(session, keys.make(vault), "ada", dt.datetime.now(dt.UTC)))
    told = _log_of(database)
    assert {record.action for record in told} >= {
        "user.create", "user.change", "user.password", "user.delete",
        "role.create", "role.change", "role.delete",
        "server.create", "server.change", "server.scopes", "server.delete",
        "scope.enable", "token.create", "token.revoke", "key.announce",
    }  # fmt: skip
    changed = next(record for record in told if record.action == "role.change")
    assert (changed.actor, changed.subject) == ("ada", "TEST_SERVER: viewer")
    assert changed.before
    assert changed.after
    assert changed.before["scopes"] == sorted(SCOPES)
    assert changed.after["scopes"] == [role.scopes[0].name]
    assert "users" not in changed.before, "What stays as it was is not told."
    assert next(r for r in told if r.action == "token.revoke").subject == made.jti
    assert next(r for r in reversed(told) if r.action == "key.announce").subject == key.kid
    assert _break_in(database) is None


def test_no_secret_stands_in_the_log(database, vault, settings, administrator, analyst, server, make_role):
    """Neither a password, a token, a code nor a key can be read from the log."""
    role = make_role("viewer", users=[analyst])
    with database.write() as session:
        ann = people.find(session, analyst.id)
        held = roles.find(session, role.id)
        text = tokens.issue(session, vault, ann, servers.find(session, server.id), [held], name="mine").text
        people.change(session, "ada", ann, password=ANOTHER_PASSWORD)
        proposal = two_factor.propose(vault, settings, ann)
        key = keys.announce(session, keys.make(vault), "ada", dt.datetime.now(dt.UTC))
        hashed = session.get_one(User, ann.id).password
        secrets = [PASSWORD, ANOTHER_PASSWORD, text, text.split(".")[2], proposal.secret, key.private, hashed]
    said = json.dumps([[r.subject, r.before, r.after] for r in _log_of(database)])
    assert not [secret for secret in secrets if secret in said]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    told=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-(2**70), 2**70),
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
            st.lists(
                st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5), max_size=3
            ),
        ),
        max_size=4,
    )
)
def test_anything_that_can_be_told_is_read_back_as_it_was_sealed(database, told):
    """Whatever a record tells, it is sealed as it will be read: the chain never breaks by itself."""
    with database.write() as session:
        audit.record(session, "ada", "thing.tell", "thing", after=told)
    assert _break_in(database) is None
