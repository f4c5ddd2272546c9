"""Guessing is slowed, and its owner is not kept from an account that strangers guess at."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from tests.flowauth.conftest import BOTH, PASSWORD, on_sqlite

from flowauth import access
from flowauth.errors import NotSignedIn, TooMany
from flowauth.services import passwords, sign_in, throttle
from flowauth.settings import Settings
from flowauth.tables import Attempts, AuditRecord, SignIn

STORES = BOTH
NOW = dt.datetime.now(dt.UTC)
HERE = "198.51.100.7"
HANDFUL = 10
"""Looks that guessing may get in an hour."""


@pytest.fixture
def looks(monkeypatch):
    """The passwords that were looked at; looking takes no time here."""
    taken = []

    def look(password, stored):
        taken.append(password)
        return stored is not None and password == PASSWORD

    monkeypatch.setattr(passwords, "fits", look)
    return taken


def guess(database, settings, password, address=HERE, now=NOW, *, username="ann", device=None):
    """Give a password; say how it was answered."""
    try:
        with database.write() as session:
            sign_in.begin(session, settings, username, password, address, now=now, device=device)
    except TooMany as refused:
        return refused
    except NotSignedIn:
        return "wrong"
    return "in"


@on_sqlite
@pytest.mark.parametrize("places", [1, 7, 1000])
def test_a_thousand_guesses_in_an_hour_get_a_handful_of_looks(database, settings, analyst, looks, places):
    """1,000 guesses at my password in an hour, from one address, a few or a thousand: at most ten are looked at."""
    for turn in range(1000):
        guess(
            database,
            settings,
            f"guess {turn}",
            f"10.0.{turn % places // 250}.{turn % places % 250}",
            NOW + dt.timedelta(seconds=3.6 * turn),
        )

    assert 5 <= len(looks) <= HANDFUL


@on_sqlite
@pytest.mark.takes_long("makes 2,400 guesses")
def test_hundred_guesses_an_hour_for_a_day(database, settings, analyst, looks):
    """In no hour of a long attack from many addresses are more than ten guesses looked at, and four once it goes on."""
    times = []
    for turn in range(2400):
        before = len(looks)
        now = NOW + dt.timedelta(seconds=36 * turn)
        guess(database, settings, "guess", f"10.1.{turn // 250}.{turn % 250}", now)
        times += [now] * (len(looks) - before)

    hour = dt.timedelta(hours=1)
    assert max(sum(start <= each < start + hour for each in times) for start in times) <= HANDFUL
    assert sum(each > times[-1] - hour for each in times) <= 4


def test_guesses_at_the_same_moment_are_all_counted(database, settings, analyst, looks):
    """200 guesses that are sent at once get no more looks than if they were sent one after another."""
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda turn: guess(database, settings, f"guess {turn}"), range(200)))

    assert len(looks) == 5
    assert answers.count("wrong") == 5


def test_no_count_is_lost(database):
    """However many count at once, each is counted."""
    wide = [throttle.Counter(("test",), throttle.Pace(10**9, 1, 1))]

    def count(_):
        with database.write() as session:
            throttle.take(session, wide, NOW)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(100)))

    with database.read() as session:
        assert session.scalars(sa.select(Attempts.count)).all() == [100]


def test_the_answer_tells_the_wait(database, settings, analyst, looks):
    """When I must wait I am told how long, and after that I am looked at again."""
    for _ in range(5):
        assert guess(database, settings, "wrong") == "wrong"

    refused = guess(database, settings, PASSWORD)
    assert refused.message == "There were too many attempts. Wait 30 seconds, then try again."
    assert (refused.status, refused.wait) == (429, 30)
    assert guess(database, settings, PASSWORD, now=NOW + dt.timedelta(seconds=31)) == "in"


def test_impatience_does_not_lengthen_the_wait(database, settings, analyst, looks):
    """Trying again while I must wait does not make me wait longer."""
    for _ in range(5):
        guess(database, settings, "wrong")
    for second in range(30):
        assert isinstance(guess(database, settings, PASSWORD, now=NOW + dt.timedelta(seconds=second)), TooMany)

    assert guess(database, settings, PASSWORD, now=NOW + dt.timedelta(seconds=31)) == "in"


@on_sqlite
def test_nobody_is_locked_out_for_good(database, settings, analyst, looks):
    """After any number of guesses the wait is an hour at most."""
    for turn in range(500):
        refused = guess(database, settings, "wrong", now=NOW + dt.timedelta(minutes=10 * turn))
        assert refused == "wrong" or refused.wait <= 3600


@on_sqlite
def test_the_owner_gets_in_from_a_known_device_while_the_name_is_attacked(database, settings, analyst, looks):
    """Strangers guess at my name without end; where I have signed in before, I get in all the same."""
    device = throttle.device_cookie(settings, analyst, None)
    for turn in range(300):
        guess(database, settings, "guess", f"10.0.{turn // 250}.{turn % 250}")
        guess(database, settings, "guess", HERE)

    assert isinstance(guess(database, settings, PASSWORD, "203.0.113.9"), TooMany)
    assert guess(database, settings, "mistyped", device=device) == "wrong"
    assert guess(database, settings, PASSWORD, device=device) == "in"


def test_signing_in_on_a_known_device_does_not_help_the_attack(database, settings, analyst, looks):
    """That I get in does not give those who guess at my name new looks."""
    device = throttle.device_cookie(settings, analyst, None)
    for turn in range(10):
        guess(database, settings, "guess", f"10.0.0.{turn}")
    looks.clear()

    guess(database, settings, PASSWORD, device=device)
    for turn in range(10):
        guess(database, settings, "guess", f"10.0.1.{turn}")

    assert looks == [PASSWORD]


@on_sqlite
def test_a_stolen_device_is_slowed_too(database, settings, analyst, looks):
    """Who has the cookie of my device gets a handful of looks as well."""
    device = throttle.device_cookie(settings, analyst, None)
    for turn in range(1000):
        now = NOW + dt.timedelta(seconds=3.6 * turn)
        guess(database, settings, "guess", f"10.0.0.{turn % 250}", now, device=device)

    assert len(looks) <= HANDFUL + 2


@on_sqlite
def test_a_device_of_another_person_is_unknown(database, settings, analyst, administrator, looks):
    """With a device of their own nobody gets round the count at my name, nor with one that they have made up."""
    theirs = throttle.device_cookie(settings, administrator, None)
    body, _, signed = throttle.device_cookie(settings, analyst, None).rpartition(".")
    elsewhere = settings.model_copy(update={"secret_key": type(settings.secret_key)("another secret, long enough")})
    made_up = [
        theirs,
        f"{body}x.{signed}",
        f"{body}.",
        "",
        ".",
        "é.é",
        throttle.device_cookie(elsewhere, analyst, None),
    ]
    for device in made_up:
        assert throttle.device_of(settings, device, analyst) is None


@on_sqlite
def test_a_device_is_known_for_a_year(settings, analyst):
    """A year after I signed in there last, a device is unknown again."""
    year_ago = NOW - dt.timedelta(days=366)
    assert throttle.device_of(settings, throttle.device_cookie(settings, analyst, None, year_ago), analyst) is None
    assert throttle.device_of(settings, throttle.device_cookie(settings, analyst, None), analyst) is not None


@on_sqlite
def test_several_people_share_a_device(settings, analyst, administrator):
    """A device that two people use is known for both, and names neither."""
    device = throttle.device_cookie(settings, administrator, throttle.device_cookie(settings, analyst, None))
    response = Response()
    access.remember_device(response, settings, analyst, device)

    assert throttle.device_of(settings, device, analyst) == throttle.device_of(settings, device, administrator)
    assert "HttpOnly" in response.headers["set-cookie"]
    assert "Max-Age=31536000" in response.headers["set-cookie"]


def test_an_unknown_name_is_slowed_alike(database, settings, analyst, looks):
    """Being made to wait does not tell whether a name is known."""

    def answers(username):
        given = [
            guess(database, settings, "wrong", username=username, address=f"10.2.{len(username)}.1") for _ in "12345678"
        ]
        return [each if isinstance(each, str) else each.wait for each in given]

    assert answers("ann") == answers("nobody")


@on_sqlite
def test_many_names_from_one_address_are_slowed(database, settings, looks):
    """One address cannot try a password on name after name, nor fill the database with names."""
    for turn in range(1000):
        guess(database, settings, "Winter2026!", HERE, NOW + dt.timedelta(seconds=turn / 10), username=f"user{turn}")

    assert len(looks) <= 60
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Attempts)) <= 121


def test_a_neighbour_of_an_attacker_gets_in(database, settings, analyst, looks):
    """Where somebody in my network guesses at other names, I wait ten seconds at most."""
    for turn in range(200):
        guess(database, settings, "guess", HERE, username=f"user{turn}")

    refused = guess(database, settings, PASSWORD)
    assert refused.wait <= 10
    assert guess(database, settings, PASSWORD, now=NOW + dt.timedelta(seconds=11)) == "in"


def test_those_who_are_right_are_not_counted(database, settings, analyst, looks):
    """A program that signs in a thousand times with the right password never waits."""
    assert {guess(database, settings, PASSWORD) for _ in range(100)} == {"in"}
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(SignIn)) == 100


def test_a_clock_that_is_set_back_locks_nobody_out(database, settings, analyst, looks):
    """When the clock was wrong by a year and is put right, nobody waits for a year."""
    for _ in range(5):
        guess(database, settings, "wrong", now=NOW + dt.timedelta(days=365))

    assert guess(database, settings, PASSWORD).wait <= 3600


def test_old_counts_are_forgotten(database, settings, analyst, looks, monkeypatch):
    """Half a day later I start afresh, and the counts of names that nobody gives any more are swept."""
    monkeypatch.setattr(throttle, "_SWEPT_ONE_IN", 1)
    for turn in range(20):
        guess(database, settings, "wrong", username=f"user{turn}")
    guess(database, settings, "wrong", "203.0.113.1", NOW + dt.timedelta(hours=13))

    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Attempts)) == 3


def test_guessing_is_in_the_audit_log_once(database, settings, analyst, looks):
    """The audit log tells that somebody guesses at a name, the same for one that is not there, and is not flooded."""
    for turn in range(100):
        guess(database, settings, "wrong", now=NOW + dt.timedelta(seconds=turn))
        guess(database, settings, "wrong", now=NOW + dt.timedelta(seconds=turn), username="nobody", address="10.0.0.2")

    with database.read() as session:
        told = sa.select(AuditRecord.subject).where(AuditRecord.action == "sign_in.slowed")
        # Here, and then from everywhere; what is written for some names alone would take time for them alone.
        assert sorted(session.scalars(told)) == ["ann"] * 2 + ["somebody unknown"] * 2


def test_the_table_tells_neither_names_nor_addresses(database, settings, analyst, looks):
    """What is counted stands in the table as a hash."""
    guess(database, settings, "wrong")
    with database.read() as session:
        assert {len(of) for of in session.scalars(sa.select(Attempts.of))} == {64}


@given(count=st.integers(0, 10**9), pace=st.sampled_from([throttle.NAME, throttle.NAME_HERE, throttle.NETWORK]))
def test_waits_grow_up_to_their_longest(count, pace):
    """Each wait is at least as long as the one before, and none is longer than the longest."""
    assert pace.wait(count) <= pace.wait(count + 1) <= dt.timedelta(seconds=pace.longest)


@on_sqlite
@pytest.mark.parametrize(
    ("peer", "forwarded", "told"),
    [
        ("203.0.113.5", ["198.51.100.1"], "203.0.113.5"),  # not one of ours: what it says is not believed
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),  # what the client wrote itself
        ("10.0.0.1", ["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("2001:db8:ff::1", ["198.51.100.1"], "198.51.100.1"),
        (None, ["198.51.100.1"], "unknown"),
    ],
)
def test_only_our_proxies_are_believed(settings, peer, forwarded, told):
    """Where a request comes from is told by the connection, and by X-Forwarded-For as far as our proxies wrote it."""
    behind = settings.model_copy(update={"flowauth_trusted_proxies": "10.0.0.0/8, 2001:db8:ff::1"})
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    request = _request(behind, headers, (peer, 1) if peer else None)

    assert access.address_of(request) == told


@on_sqlite
def test_no_proxy_is_believed_unless_named(settings):
    """Without FLOWAUTH_TRUSTED_PROXIES, nobody can choose the address that they are counted by."""
    request = _request(settings, [(b"x-forwarded-for", b"6.6.6.6")], ("127.0.0.1", 1))
    assert access.address_of(request) == "127.0.0.1"


def _request(settings, headers, client):
    app = SimpleNamespace(state=SimpleNamespace(settings=settings))
    return Request({"type": "http", "headers": headers, "client": client, "app": app})


def test_a_proxy_that_is_no_address_is_told(settings):
    """A mistake in FLOWAUTH_TRUSTED_PROXIES is told at the start, with the way to write it."""
    given = {name: getattr(settings, name) for name in ("private_jwt_signing_key", "flowauth_fernet_key", "secret_key")}
    with pytest.raises(ValidationError, match=r"'proxy\.example' is neither an address nor a network; write them as"):
        Settings(**given, flowauth_trusted_proxies="10.0.0.1, proxy.example")


def test_addresses_of_one_network_count_together():
    """A home has 2^64 addresses of IPv6; they count as one, and others' as others."""
    assert throttle.network_of("2001:db8:1:2::1") == throttle.network_of("2001:db8:1:2:ffff::9")
    assert throttle.network_of("2001:db8:1:2::1") != throttle.network_of("2001:db8:1:3::1")
    assert throttle.network_of("198.51.100.1") != throttle.network_of("198.51.100.2")
    assert throttle.network_of("unknown") == "unknown"


@on_sqlite
def test_a_counter_is_one_thing(settings, analyst):
    """What is counted for a name from a network is not mixed up with another name from another."""
    user = SimpleNamespace(id=1, username="a")
    first = throttle.for_password(settings, "a", user, "10.0.0.1", None)
    assert len({each.of for each in first + throttle.for_password(settings, "a:10.0.0.1", None, "", None)}) == 6
