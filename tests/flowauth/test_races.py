"""Two administrators at once: each decides on what the other has left, on SQLite and on PostgreSQL alike."""

import contextlib
import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from sqlalchemy.exc import OperationalError
from tests.flowauth.conftest import PASSWORD, document

from flowauth import database
from flowauth.database import Database
from flowauth.errors import NameTaken, NotAllowed, NotThere, Refused, TooMany
from flowauth.services import audit, following, keys, people, roles, servers, sign_in, throttle, tokens
from flowauth.services.limits import Limits
from flowauth.settings import Settings
from flowauth.tables import Role, Server, SigningKey, Token, User
from flowkit_base import databases

AT_ONCE = 4


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def shared(request, tmp_path_factory):
    """A database that two administrators use at once."""
    if request.param == "sqlite":
        opened = Database(f"sqlite:///{tmp_path_factory.mktemp('races') / 'races.db'}")
        yield opened
        opened.close()
        return
    with request.getfixturevalue("postgres").database() as url:
        # What the server does unless it is told otherwise must not matter: here a transaction sees the database as it
        # is before it has waited for others.
        name = url.rpartition("/")[2]
        plain = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
        with plain.connect() as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'")
            connection.exec_driver_sql(f"ALTER DATABASE {name} SET timezone = 'Asia/Kathmandu'")
        plain.dispose()
        opened = Database(url)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def chest(shared, signing_pem):
    """What is encrypted at rest there, with a signing key."""
    vault = keys.Vault(Fernet.generate_key().decode())
    with shared.write() as session:
        keys.admit(session, vault, signing_pem)
    return vault


@pytest.fixture
def names(request):
    """Names that no other test has used."""
    stem = "".join(letter for letter in request.node.name if letter.isalnum())[-50:]
    return [f"{stem}_{number}" for number in range(4)]


@pytest.fixture
def there(shared, names):
    """A server with two scopes."""
    with shared.write() as session:
        read = servers.read_document(document(names[0], ["run", "get_result"]))
        return servers.create(session, "tests", read, Limits(None, 600))


def together(shared, *acts):
    """Do things at the same moment, each in a transaction of its own; gives what came of each."""
    start = threading.Barrier(len(acts))

    def do(act):
        start.wait(30)
        try:
            with shared.write() as session:
                return act(session)
        except Refused as refused:
            return refused

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(do, acts))


def _refusals(came):
    return [each for each in came if isinstance(each, Refused)]


def _whole(shared):
    with shared.read() as session:
        return audit.first_broken(session) is None


def test_the_last_administrator_stays_whoever_acts_at_once(shared, names):
    """Administrators who demote and delete one another at the same moment leave one."""
    with shared.write() as session:
        session.execute(sa.update(User).values(is_admin=False))
        ids = [people.create(session, "tests", name, None, is_admin=True).id for name in names]

    def demote(number):
        return lambda session: people.change(session, "tests", people.find(session, number), is_admin=False)

    def delete(number):
        return lambda session: people.delete(session, "tests", people.find(session, number))

    came = together(shared, demote(ids[0]), delete(ids[1]), demote(ids[2]), delete(ids[3]))
    assert len(_refusals(came)) == 1
    assert "only administrator" in _refusals(came)[0].message
    with shared.read() as session:
        assert session.scalar(sa.select(sa.func.count()).where(User.is_admin)) == 1
    assert _whole(shared)


def test_the_first_administrator_is_made_once(shared, names):
    """Several FlowAuths that start at once on an empty database make one administrator."""
    with shared.write() as session:
        session.execute(sa.update(User).values(is_admin=False))
    came = together(
        shared,
        *(lambda session, name=name: people.first_administrator(session, name, PASSWORD) for name in names),
    )
    assert sum(user is not None for user in came) == 1
    with shared.read() as session:
        assert session.scalar(sa.select(sa.func.count()).where(User.is_admin)) == 1


def test_a_name_is_given_once(shared, names, there):
    """Of two people, roles or servers of one name, made at the same moment, one is made and one refused in words."""
    read = servers.read_document(document(names[1]))
    wanted = roles.Definition("viewer", frozenset(), frozenset(), Limits(None, 60))
    for make in (
        lambda session: people.create(session, "tests", names[2], None),
        lambda session: roles.create(session, "tests", servers.find(session, there.id), wanted),
        lambda session: servers.create(session, "tests", read, Limits(None, 60)),
    ):
        came = together(shared, *[make] * AT_ONCE)
        assert len(_refusals(came)) == AT_ONCE - 1
        assert all(isinstance(each, NameTaken) for each in _refusals(came))
    assert _whole(shared)


def test_a_token_is_not_made_for_a_role_that_is_taken_at_that_moment(shared, chest, names, there):
    """Either the token comes first and is revoked with the role, or the role is gone and no token comes."""
    for _ in range(4):
        with shared.write() as session:
            ann = people.named(session, names[1]) or people.create(session, "tests", names[1], None)
            server = servers.find(session, there.id)
            session.execute(sa.delete(Role).where(Role.server_id == server.id))
            wanted = roles.Definition("viewer", frozenset(), frozenset({ann.id}), Limits(None, 60))
            role, ann = roles.create(session, "tests", server, wanted).id, ann.id

        def make(session, ann=ann, role=role):
            user, found = people.find(session, ann), session.get(Role, role)
            return tokens.issue(session, chest, user, servers.find(session, there.id), [found], name="mine")

        def take(session, ann=ann):
            people.change(session, "tests", people.find(session, ann), roles=frozenset())

        made, _ = together(shared, make, take)
        if isinstance(made, Refused):
            assert isinstance(made, NotAllowed)
        with shared.read() as session:
            living = sa.select(sa.func.count()).where(Token.user_id == ann, Token.revoked.is_(None))
            assert session.scalar(living) == 0
    assert _whole(shared)


def test_a_role_is_changed_and_deleted_at_once(shared, names, there):
    """Whoever comes second finds no role, and is told so; nothing of the change is left."""
    with shared.write() as session:
        server = servers.find(session, there.id)
        role = roles.create(
            session, "tests", server, roles.Definition("r", frozenset(), frozenset(), Limits(None, 60))
        ).id
        scope = server.scopes[0].id
    wanted = roles.Definition("r2", frozenset({scope}), frozenset(), Limits(None, 30))
    came = together(
        shared,
        lambda session: roles.change(session, "tests", roles.find(session, role), wanted),
        lambda session: roles.delete(session, "tests", roles.find(session, role)),
    )
    assert all(isinstance(each, NotThere) for each in _refusals(came))
    with shared.read() as session:
        assert session.get(Role, role) is None


def test_a_scope_that_goes_while_a_role_is_given_it_is_in_no_role(shared, names, there):
    """A document that takes a scope away and a role that is given it at the same moment leave no dangling scope."""
    fewer = servers.read_document(document(names[0], ["run"]))
    with shared.read() as session:
        scopes = frozenset(scope.id for scope in servers.find(session, there.id).scopes)
    wanted = roles.Definition("all", scopes, frozenset(), Limits(None, 60))
    together(
        shared,
        lambda session: roles.create(session, "tests", servers.find(session, there.id), wanted),
        lambda session: servers.follow(session, "tests", servers.find(session, there.id), fewer),
    )
    with shared.read() as session:
        held = [scope.name for role in session.get_one(Server, there.id).roles for scope in role.scopes]
        assert held in ([], ["run"])


def test_two_keys_are_not_withdrawn_at_once(shared, chest):
    """Two administrators who each withdraw one of the two keys leave one that signs."""
    with shared.write() as session:
        keys.announce(session, keys.make(chest), "tests", dt.datetime.now(dt.UTC))
        kids = [key.kid for key in keys.published(session)] + list(
            session.scalars(sa.select(SigningKey.kid).where(SigningKey.withdrawn.is_(None)))
        )
    kids = sorted(set(kids))
    assert len(kids) == 2
    came = together(shared, *(lambda session, kid=kid: keys.withdraw(session, "tests", kid) for kid in kids))
    assert len(_refusals(came)) == 1
    with shared.read() as session:
        assert keys.signing(session, chest)[0] in kids


def test_the_audit_log_stays_one_chain(shared, names):
    """Many who write at once write one after the other: no record branches off."""

    def act(number):
        def write(session):
            for _ in range(5):
                audit.record(session, f"administrator {number}", "thing.do", names[0])

        return write

    together(shared, *(act(number) for number in range(AT_ONCE)))
    assert _whole(shared)


@contextlib.contextmanager
def _in_the_midst(shared, act):
    """Somebody else who has done something in a transaction of theirs that is not over; it ends with the block."""
    done, over = threading.Event(), threading.Event()

    def do():
        with shared.write() as session:
            act(session)
            session.flush()
            done.set()
            over.wait(30)

    with ThreadPoolExecutor(1) as pool:
        doing = pool.submit(do)
        try:
            assert done.wait(30)
            yield over
        finally:
            over.set()
            doing.result(30)


def test_who_writes_decides_on_what_the_one_before_has_left(shared, names):
    """A transaction that began while another was under way sees, from its first statement on, what that one did."""
    seen, asking = [], threading.Event()

    def look():
        asking.set()
        with shared.write() as session:
            seen.append(people.named(session, names[0]))

    with ThreadPoolExecutor(1) as pool:
        with _in_the_midst(shared, lambda session: people.create(session, "tests", names[0], None)) as over:
            looking = pool.submit(look)
            assert asking.wait(30)
            # It waits; nothing that it could do tells, so that it is given a moment.
            with pytest.raises(TimeoutError):
                looking.result(0.2)
            assert not seen
            over.set()
        looking.result(30)
    assert seen[0] is not None


def test_who_reads_waits_for_nobody_and_sees_one_moment(shared, names):
    """A page is shown while somebody writes, and all of it is as it was at its beginning."""
    count = sa.select(sa.func.count()).where(User.username == names[0])
    with shared.read() as session:
        assert session.scalar(count) == 0
        with _in_the_midst(shared, lambda writing: people.create(writing, "tests", names[0], None)):
            assert session.scalar(count) == 0
        assert session.scalar(count) == 0
    with shared.read() as session:
        assert session.scalar(count) == 1


def test_what_is_counted_outlives_the_refusal_and_others_come_between(shared, names):
    """Who commits in the midst of their session lets others write then, and sees what they wrote after that."""
    with shared.write() as session:
        people.create(session, "tests", names[0], None)
        session.commit()
        came = together(shared, lambda other: people.create(other, "tests", names[1], None))
        assert not _refusals(came)
        assert people.named(session, names[1]) is not None
    assert _whole(shared)


def test_a_server_is_claimed_once(shared, there):
    """Of many who look for a server whose document is due, in however many processes, one gets it."""
    with shared.write() as session:
        session.execute(sa.update(Server).values(document_url=None))
        session.execute(sa.update(Server).where(Server.id == there.id).values(document_url="http://127.0.0.1:9"))
    others = Database(shared.engine.url.render_as_string(hide_password=False))
    start = threading.Barrier(AT_ONCE)

    def claim(number):
        start.wait(30)
        return following.claim(shared if number % 2 else others, 300)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        came = list(pool.map(claim, range(AT_ONCE)))
    others.close()
    assert [due.server_id for due in came if due is not None] == [there.id]


def test_guesses_at_once_are_each_counted(shared, names):
    """However many guess at the same moment, no more are looked at than if they came one after another."""
    slow = [throttle.Counter((names[0],), throttle.Pace(3, 60, 60))]
    came = together(shared, *[lambda session: throttle.take(session, slow, dt.datetime.now(dt.UTC))] * 8)
    assert len(_refusals(came)) == 5
    assert all(isinstance(each, TooMany) for each in _refusals(came))


def test_a_sign_in_is_noted_while_every_connection_reads(shared, names, signing_pem):
    """As many people as there are connections, who are all noted as seen at once, do not wait for one another."""
    app = Settings(
        private_jwt_signing_key=signing_pem,
        flowauth_fernet_key=Fernet.generate_key().decode(),
        secret_key="a secret of tests that is long enough",
        db_uri="sqlite:////unused",
    )
    now = dt.datetime.now(dt.UTC)
    with shared.write() as session:
        user = people.create(session, "tests", names[0], None)
        cookie, _ = sign_in.open_sign_in(session, app, user, "127.0.0.1", by="provider", now=now)
    pool = shared.engine.pool
    many = pool.size() + pool._max_overflow
    start = threading.Barrier(many)

    def ask(_):
        with shared.read() as session:
            session.scalar(sa.select(sa.func.count()).select_from(User))
            start.wait(30)
            return sign_in.who(session, app, cookie, now=now + dt.timedelta(minutes=2)).user.username

    with ThreadPoolExecutor(many) as threads:
        assert set(threads.map(ask, range(many))) == {names[0]}


def test_moments_and_names_are_kept_as_they_are(shared, names):
    """The last moment of 9999, which stands for never, comes back; a name in other letters is the same name."""
    never = dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC)
    with shared.write() as session:
        servers.create(session, "tests", servers.read_document(document(names[0])), Limits(never, 60))
        people.create(session, "tests", names[0].lower(), None)
    with shared.read() as session:
        told = session.scalars(sa.select(Server).where(Server.name == names[0])).one()
        assert told.latest_token_expiry == never
    with pytest.raises(NameTaken), shared.write() as session:
        people.create(session, "tests", names[0].upper(), None)


def test_whoever_holds_the_database_up_is_not_waited_for_without_end(shared, names, monkeypatch):
    """Where one who writes does not come to an end, the next gives up after a time."""
    for module in (database, databases):
        monkeypatch.setattr(module, "PATIENCE", 0.2)
    impatient = Database.__new__(Database)
    impatient.engine = database._engine(shared.engine.url.render_as_string(hide_password=False), "")
    impatient._info = {}
    act = lambda session: people.create(session, "tests", names[0], None)  # noqa: E731
    with _in_the_midst(shared, act), pytest.raises(OperationalError), impatient.write() as session:
        session.scalar(sa.select(User.id).limit(1))
    impatient.engine.dispose()
