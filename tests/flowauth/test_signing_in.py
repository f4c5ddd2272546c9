"""Signing in and out by name and password."""

import datetime as dt
import statistics
import time

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from starlette.responses import Response
from tests.flowauth.conftest import BOTH, PASSWORD, on_sqlite

from flowauth import access
from flowauth.errors import NotAllowed, NotSignedIn, Refused, TooMany
from flowauth.services import audit, passwords, people, sign_in, two_factor
from flowauth.tables import AuditRecord, SignIn, User

STORES = BOTH
HERE = "198.51.100.7"
NOW = dt.datetime.now(dt.UTC)


def enter(database, settings, username="ann", password=PASSWORD, address=HERE, **more):
    with database.write() as session:
        return sign_in.begin(session, settings, username, password, address, **more)


def seen_by(database, settings, cookie, **more):
    with database.read() as session:
        person = sign_in.who(session, settings, cookie, **more)
        session.expunge_all()
    return person


def test_the_right_password_signs_in(database, settings, analyst):
    """With my name and password I am signed in, and the cookie tells who I am."""
    cookie, begun = enter(database, settings)

    assert begun.complete
    assert seen_by(database, settings, cookie).user.username == "ann"


def test_the_database_does_not_hold_the_cookie(database, settings, analyst):
    """Who reads the database cannot sign in with what it holds; the cookie has 256 random bits."""
    cookie, begun = enter(database, settings)

    assert len(cookie) == 43
    assert cookie != begun.id
    with pytest.raises(NotSignedIn):
        seen_by(database, settings, begun.id)


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("ann", "not her password"),
        ("nobody", PASSWORD),
        ("provided", PASSWORD),
        ("provided", ""),
        ("ann", ""),
        ("", ""),
        ("ANN", PASSWORD),
        ("a\x00nn", PASSWORD),
        ("ann\ud800", PASSWORD),
        ("ann", "\ud800"),
        ("ann", PASSWORD + "x" * 100_000),
        ("ann' OR 1=1 --", PASSWORD),
    ],
)
def test_every_failure_is_answered_alike(database, settings, analyst, username, password):
    """Whether the name is unknown, the password wrong, or there is no password at all: I read the same."""
    with database.write() as session:
        people.create(session, "tests", "provided", None, provider_issuer="https://id.example", provider_subject="7")

    with pytest.raises(NotSignedIn) as refused:
        enter(database, settings, username, password)

    assert (refused.value.message, refused.value.field) == ("The name or the password is not right.", "password")


@on_sqlite
def test_every_failure_takes_the_same_time(database, settings, analyst):
    """The time of the answer does not tell whether a name is known, or has a password."""
    with database.write() as session:
        people.create(session, "tests", "provided", None)
    taken = {"ann": [], "nobody": [], "provided": []}
    for turn in range(9):
        for username, times in taken.items():
            before = time.perf_counter()
            with pytest.raises(NotSignedIn):
                enter(database, settings, username, "wrong", now=NOW + dt.timedelta(days=turn))
            times.append(time.perf_counter() - before)

    middle = {username: statistics.median(times) for username, times in taken.items()}
    assert max(middle.values()) < 1.6 * min(middle.values())
    assert min(middle.values()) > 0.005  # an argon2 hash was made


def test_an_outdated_hash_is_made_anew(database, settings, analyst):
    """A password that was hashed in an older way works, and is hashed in today's way when it is given."""
    with database.write() as session:
        session.get_one(User, analyst.id).password = PasswordHasher(1, 8192, 1).hash(PASSWORD)

    enter(database, settings)

    with database.read() as session:
        stored = session.get_one(User, analyst.id).password
    assert not passwords.outdated(stored)
    assert passwords.fits(PASSWORD, stored)


def test_signing_in_again_gives_another_cookie(database, settings, analyst):
    """A cookie that somebody planted in my browser never becomes that of my sign-in."""
    first, _ = enter(database, settings)
    second, _ = enter(database, settings)

    assert first != second


def test_the_code_changes_the_cookie(database, settings, vault, analyst):
    """The cookie from before my code is worth nothing afterwards, and was not a sign-in before."""
    secret = with_two_factor(database, settings, vault, analyst)
    cookie, begun = enter(database, settings)
    assert not begun.complete
    with pytest.raises(NotSignedIn):
        seen_by(database, settings, cookie)
    assert seen_by(database, settings, cookie, complete=False).user.username == "ann"

    after, whole = give(database, settings, vault, begun, secret)

    assert whole.complete
    assert seen_by(database, settings, after).user.username == "ann"
    with pytest.raises(NotSignedIn):
        seen_by(database, settings, cookie, complete=False)


def test_a_password_alone_waits_ten_minutes_for_its_code(database, settings, vault, analyst, clock):
    """A sign-in that lacks its code ends after ten minutes."""
    secret = with_two_factor(database, settings, vault, analyst)
    _, begun = enter(database, settings)

    clock(minutes=11)

    with pytest.raises(NotSignedIn):
        give(database, settings, vault, begun, secret)


def test_a_sign_in_that_is_complete_takes_no_code(database, settings, vault, analyst):
    """A code cannot be tried in a sign-in that wants none."""
    _, begun = enter(database, settings)
    with pytest.raises(NotSignedIn):
        give(database, settings, vault, begun, "A" * 32)


def test_an_idle_sign_in_ends(database, settings, analyst, clock):
    """Twenty minutes after my last request I must sign in again; each request counts from anew."""
    cookie, _ = enter(database, settings)
    for _ in range(3):
        clock(minutes=15)
        seen_by(database, settings, cookie)

    clock(minutes=21)

    with pytest.raises(NotSignedIn):
        seen_by(database, settings, cookie)
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(SignIn)) == 0


def test_a_sign_in_ends_however_much_it_is_used(database, settings, analyst, clock):
    """Twelve hours after I signed in I must sign in again, though I worked all the time."""
    cookie, _ = enter(database, settings)
    for _ in range(47):
        clock(minutes=15)
        seen_by(database, settings, cookie)

    clock(minutes=16)

    with pytest.raises(NotSignedIn):
        seen_by(database, settings, cookie)


def test_when_it_was_used_is_written_once_a_minute(database, settings, analyst, clock):
    """Reading pages quickly does not write to the database each time."""
    cookie, begun = enter(database, settings)
    clock(seconds=30)
    seen_by(database, settings, cookie)
    assert age_of(database, begun) > dt.timedelta(seconds=29)

    clock(seconds=31)
    seen_by(database, settings, cookie)

    assert age_of(database, begun) < dt.timedelta(seconds=10)


def test_who_is_there_can_be_asked_while_writing(database, settings, analyst, clock):
    """A request that changes something learns who sends it, and notes the moment, in its own transaction."""
    cookie, begun = enter(database, settings)
    clock(minutes=5)

    with database.write() as session:
        assert sign_in.who(session, settings, cookie).user.username == "ann"

    assert age_of(database, begun) < dt.timedelta(seconds=10)


def test_ended_sign_ins_are_swept(database, settings, analyst, clock):
    """Sign-ins that have ended are not kept."""
    for _ in range(3):
        enter(database, settings)
    clock(hours=13)

    _, begun = enter(database, settings)

    with database.read() as session:
        assert session.scalars(sa.select(SignIn.id)).all() == [begun.id]


def test_signing_out_ends_the_sign_in(database, settings, analyst):
    """After I sign out, the cookie is worth nothing, also to who has copied it."""
    cookie, _ = enter(database, settings)
    with database.write() as session:
        sign_in.end(session, cookie)

    with pytest.raises(NotSignedIn):
        seen_by(database, settings, cookie)


@pytest.mark.parametrize("cookie", ["", None, "x" * 5000, "\ud800", "' OR 1=1 --"])
def test_a_made_up_cookie_is_nobody(database, settings, analyst, cookie):
    """A cookie that was never given is nobody's."""
    enter(database, settings)
    with pytest.raises(NotSignedIn):
        seen_by(database, settings, cookie)


def test_where_i_am_signed_in(database, settings, vault, analyst, clock):
    """I see where I am signed in: neither what has ended nor what lacks its code."""
    enter(database, settings)
    clock(minutes=30)
    _, begun = enter(database, settings)
    with database.read() as session:
        assert [each.id for each in sign_in.living(session, settings, analyst)] == [begun.id]


def test_changing_what_i_am_changes_the_cookie(database, settings, analyst):
    """When my password is changed, the cookie is changed too, and the one before is worth nothing."""
    cookie, _ = enter(database, settings)
    person = seen_by(database, settings, cookie)
    with database.write() as session:
        began, after = person.sign_in.began, sign_in.rotate(session, person)

    assert seen_by(database, settings, after).sign_in.began == began
    with pytest.raises(NotSignedIn):
        seen_by(database, settings, cookie)


def test_a_password_that_is_changed_meanwhile_does_not_sign_in(database, settings, analyst, monkeypatch):
    """If my password is changed while the old one is being looked at, the old one does not sign in."""
    looked = passwords.fits

    def changed_meanwhile(password, stored):
        right = looked(password, stored)
        with database.write() as session:
            session.get_one(User, analyst.id).password = passwords.hash_of("quite another password")
        monkeypatch.setattr(passwords, "fits", looked)
        return right

    monkeypatch.setattr(passwords, "fits", changed_meanwhile)
    with pytest.raises(NotSignedIn):
        enter(database, settings)


def test_the_password_is_asked_for_again(database, settings, analyst):
    """What matters asks for my password again; a stolen cookie alone cannot give it, and is worth nothing once I do."""
    cookie, _ = enter(database, settings)
    person = seen_by(database, settings, cookie)
    with database.write() as session:
        another = sign_in.confirm(session, settings, person, PASSWORD, HERE)

    with pytest.raises(NotSignedIn):
        seen_by(database, settings, cookie)
    assert seen_by(database, settings, another).sign_in.id == person.sign_in.id
    with pytest.raises(Refused, match="The password is not right") as refused, database.write() as session:
        sign_in.confirm(session, settings, person, "wrong", HERE)

    assert (refused.value.status, refused.value.field) == (400, "password")
    assert seen_by(database, settings, another).user.username == "ann"


def test_guessing_within_a_sign_in_is_slowed(database, settings, analyst):
    """Who has stolen a cookie cannot guess the password by what asks for it again."""
    cookie, _ = enter(database, settings)
    person = seen_by(database, settings, cookie)
    told = []
    for _ in range(12):
        with pytest.raises(Refused) as refused, database.write() as session:
            sign_in.confirm(session, settings, person, "wrong", HERE)
        told.append(type(refused.value))

    assert told == [Refused] * 5 + [TooMany] * 7


def test_the_form_of_another_sign_in_is_refused(settings):
    """A form is taken only with the token of the very sign-in that loaded it."""
    token = sign_in.csrf_token(settings, "mine")
    sign_in.check_csrf(settings, "mine", token)

    for cookie, given in [("yours", token), ("mine", ""), ("mine", None), ("mine", "é"), ("mine", token[:-1])]:
        with pytest.raises(NotAllowed):
            sign_in.check_csrf(settings, cookie, given)


def test_the_cookie_is_kept_from_scripts_and_other_sites(settings):
    """The cookie is HttpOnly and SameSite; by https, it is also Secure and of this host alone."""
    plain, safe = Response(), Response()
    access.set_cookie(plain, settings, "value")
    access.set_cookie(safe, settings.model_copy(update={"flowauth_url": "https://auth.example"}), "value")

    assert plain.headers["set-cookie"] == "flowauth_session=value; HttpOnly; Path=/; SameSite=lax"
    assert safe.headers["set-cookie"] == "__Host-flowauth_session=value; HttpOnly; Path=/; SameSite=lax; Secure"


def test_signing_in_is_in_the_audit_log(database, settings, analyst):
    """The audit log tells who signed in from where, and nothing that was secret."""
    cookie, _ = enter(database, settings)
    with database.read() as session:
        entry = session.scalars(sa.select(AuditRecord).where(AuditRecord.action == "sign_in")).one()
        text = str([vars(each) for each in session.scalars(sa.select(AuditRecord))])
        assert audit.first_broken(session) is None
        session.expunge_all()

    assert (entry.actor, entry.subject, entry.after) == ("ann", "ann", {"by": "password", "from": HERE})
    assert PASSWORD not in text
    assert cookie not in text


def test_two_factor_that_is_required_must_be_set_up_first(database, settings, analyst, make_role):
    """Whoever must have two-factor, by themselves, a role or as everybody, and has none, must set it up first."""
    cookie, _ = enter(database, settings)
    assert not seen_by(database, settings, cookie).set_up_needed
    everybody = settings.model_copy(update={"flowauth_require_two_factor": True})
    assert seen_by(database, everybody, cookie).set_up_needed

    make_role("careful", users=[analyst], require_two_factor=True)

    assert seen_by(database, settings, cookie).set_up_needed


def test_two_factor_required_of_one_person(database, settings, vault, analyst):
    """An administrator requires two-factor of me: I must set it up, and when I have I may go on."""
    with database.write() as session:
        people.change(session, "ada", people.find(session, analyst.id), require_two_factor=True)
    cookie, begun = enter(database, settings)
    assert begun.complete
    assert seen_by(database, settings, cookie).set_up_needed

    with_two_factor(database, settings, vault, analyst)

    assert not seen_by(database, settings, cookie).set_up_needed


def with_two_factor(database, settings, vault, user) -> str:
    proposal = two_factor.propose(vault, settings, user)
    with database.write() as session:
        code = two_factor.TOTP(proposal.secret).at(NOW)
        two_factor.enable(session, vault, settings, user, proposal.signed, code, now=NOW)
    return proposal.secret


def give(database, settings, vault, begun, secret):
    """Give the code that the app shows half a minute after the password."""
    moment = begun.began + dt.timedelta(seconds=30)
    code = two_factor.TOTP(secret).at(moment)
    with database.write() as session:
        return sign_in.give_code(session, vault, settings, begun, code, HERE, now=moment)


def age_of(database, begun) -> dt.timedelta:
    with database.read() as session:
        return dt.datetime.now(dt.UTC) - session.get_one(SignIn, begun.id).seen
