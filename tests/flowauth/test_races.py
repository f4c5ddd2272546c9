"""Two administrators at once: each decides on what the other has left, on SQLite and on PostgreSQL alike."""

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from tests.flowauth.conftest import PASSWORD, document

from flowauth import audit, keys, people, roles, servers, tokens
from flowauth.database import Database
from flowauth.errors import NameTaken, NotAllowed, NotThere, Refused
from flowauth.limits import Limits
from flowauth.tables import Role, Server, SigningKey, Token, User

AT_ONCE = 4


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request, tmp_path_factory):
    """A database that two administrators use at once."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path_factory.mktemp('races') / 'races.db'}")
        yield database
        database.close()
        return
    with request.getfixturevalue("postgres").database() as url:
        database = Database(url)
        yield database
        database.close()


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
    wanted = roles.Wanted("viewer", frozenset(), frozenset(), Limits(None, 60))
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
            wanted = roles.Wanted("viewer", frozenset(), frozenset({ann.id}), Limits(None, 60))
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
        role = roles.create(session, "tests", server, roles.Wanted("r", frozenset(), frozenset(), Limits(None, 60))).id
        scope = server.scopes[0].id
    wanted = roles.Wanted("r2", frozenset({scope}), frozenset(), Limits(None, 30))
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
    wanted = roles.Wanted("all", scopes, frozenset(), Limits(None, 60))
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
        keys.announce(session, chest, "tests", dt.datetime.now(dt.UTC))
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
