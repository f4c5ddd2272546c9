"""The second factor: codes of an authenticator app, and backup codes."""

import base64
import datetime as dt
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from pyotp.totp import TOTP
from tests.flowauth.conftest import BOTH, PASSWORD, on_sqlite

from flowauth.database import Database
from flowauth.errors import NotAllowed, NotSignedIn, Refused, TooMany
from flowauth.services import passwords, people, sign_in, throttle, two_factor
from flowauth.services.two_factor import WrongCode
from flowauth.tables import AuditRecord, BackupCode, SignIn, TwoFactor, User

STORES = BOTH
NOW = dt.datetime.fromtimestamp(1_800_000_000, dt.UTC)
HERE = "198.51.100.7"


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch):
    """Sixteen hashes for each test would take most of its time; none here tells anything by its time."""
    passwords._of_nobody.cache_clear()
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(1, 8, 1))
    yield
    passwords._of_nobody.cache_clear()


def later(seconds) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


@pytest.fixture
def proposal(database, settings, vault, analyst):
    """Two-factor that `ann` has just set up."""
    made = two_factor.propose(vault, settings, analyst, now=NOW)
    with database.write() as session:
        two_factor.enable(session, vault, settings, analyst, made.signed, TOTP(made.secret).at(NOW), now=NOW)
    return made


def verify(database, settings, vault, user, code, now=None, **more):
    with database.write() as session:
        two_factor.verify(session, vault, settings, user, code, now=now or later(30), **more)


# RFC 6238, appendix B, SHA-1, of which six digits are the last six of its eight.
@pytest.mark.parametrize(
    ("moment", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
@on_sqlite
def test_codes_are_those_of_the_standard(database, settings, vault, analyst, proposal, moment, code):
    """Every authenticator app makes the codes that FlowAuth takes: RFC 6238's own examples are taken."""
    secret = base64.b32encode(b"12345678901234567890").decode()
    with database.write() as session:
        session.get_one(TwoFactor, analyst.id).secret = vault.sealed(secret)
        session.get_one(TwoFactor, analyst.id).last_step = 0

    verify(database, settings, vault, analyst, code, dt.datetime.fromtimestamp(moment, dt.UTC))


def test_nothing_is_stored_before_a_code_proves_the_app(database, settings, vault, analyst):
    """Looking at the set-up changes nothing; a wrong first code does not either."""
    made = two_factor.propose(vault, settings, analyst, now=NOW)
    wrong = f"{(int(TOTP(made.secret).at(NOW)) + 1) % 10**6:06d}"
    with pytest.raises(WrongCode), database.write() as session:
        two_factor.enable(session, vault, settings, analyst, made.signed, wrong, now=NOW)

    with database.read() as session:
        assert session.scalars(sa.select(TwoFactor)).all() == []


@on_sqlite
def test_the_app_gets_name_and_issuer(settings, vault, analyst):
    """My app shows what the code is for, and makes six digits every 30 seconds."""
    made = two_factor.propose(vault, settings.model_copy(update={"flowauth_two_factor_issuer": "Ops & Co"}), analyst)

    parts = urlsplit(made.provisioning_url)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert parse_qs(parts.query) == {"secret": [made.secret], "issuer": ["Ops & Co"]}
    assert len(base64.b32decode(made.secret)) == 20


@on_sqlite
def test_backup_codes_are_sixteen_of_ten_characters(settings, vault, analyst):
    """I get 16 different backup codes of ten characters, others each time, without letters that look alike."""
    first = two_factor.propose(vault, settings, analyst).backup_codes
    second = two_factor.propose(vault, settings, analyst).backup_codes

    assert len({*first, *second}) == 32
    assert {len(code) for code in first} == {10}
    assert not set("".join(first + second)) & set("0o1il")


def test_a_proposal_is_mine_alone_and_lasts_a_day(database, settings, vault, analyst, administrator):
    """A set-up that somebody else began, that is a day old, or that was made up, is refused."""
    made = two_factor.propose(vault, settings, analyst, now=NOW)
    assert two_factor.proposed(vault, settings, analyst, made.signed, now=later(24 * 3600 - 1)) == made

    changed = made.signed[:-8] + "AAAAAAA="
    for user, signed, now in [
        (administrator, made.signed, NOW),
        (analyst, made.signed, later(24 * 3600)),
        (analyst, changed, NOW),
        (analyst, "", NOW),
        (analyst, "é\ud800", NOW),
        (analyst, vault.sealed(made.secret), NOW),
        (analyst, vault.sealed("[]"), NOW),
    ]:
        code = TOTP(made.secret).at(now)
        with pytest.raises(Refused, match="start it again") as refused, database.write() as session:
            two_factor.enable(session, vault, settings, user, signed, code, now=now)
        assert refused.value.field == "signed"


def test_a_code_counts_once(database, settings, vault, analyst, proposal):
    """Who has watched me type my code cannot use it again, neither at once nor within its 30 seconds."""
    code = TOTP(proposal.secret).at(later(30))
    verify(database, settings, vault, analyst, code, later(30))

    for seconds in (30, 45, 59):
        with pytest.raises(WrongCode, match="used already"):
            verify(database, settings, vault, analyst, code, later(seconds))
    verify(database, settings, vault, analyst, TOTP(proposal.secret).at(later(60)), later(60))


def test_the_first_code_counts_once_too(database, settings, vault, analyst, proposal):
    """The code with which I set up two-factor does not sign in as well."""
    with pytest.raises(WrongCode, match="used already"):
        verify(database, settings, vault, analyst, TOTP(proposal.secret).at(NOW), NOW)


def test_an_earlier_code_does_not_count_after_a_later_one(database, settings, vault, analyst, proposal):
    """Where early and late codes are taken, one from before the last that was used is not."""
    wide = settings.model_copy(update={"two_factor_valid_window": 2})
    totp = TOTP(proposal.secret)
    verify(database, wide, vault, analyst, totp.at(later(90)), later(60))

    for seconds in (30, 60, 90):
        with pytest.raises(WrongCode, match="used already"):
            verify(database, wide, vault, analyst, totp.at(later(seconds)), later(60))


@on_sqlite
@pytest.mark.parametrize("window", [0, 1, 3])
def test_the_window_is_as_wide_as_is_set(database, settings, vault, analyst, proposal, window):
    """A code is taken as many steps early or late as TWO_FACTOR_VALID_WINDOW says, and not one more."""
    set_so = settings.model_copy(update={"two_factor_valid_window": window})
    base = 3600
    taken = []
    for steps in range(-5, 6):
        with database.write() as session:
            session.get_one(TwoFactor, analyst.id).last_step = 0
            session.execute(sa.delete(throttle.Attempts))
        try:
            code = TOTP(proposal.secret).at(later(base + 30 * steps))
            verify(database, set_so, vault, analyst, code, later(base))
            taken.append(steps)
        except WrongCode:
            pass

    assert taken == list(range(-window, window + 1))


def test_one_code_given_twice_at_once_counts_once(database, settings, vault, analyst, proposal):
    """Of five requests that give one code at the same moment, one gets in."""
    code = TOTP(proposal.secret).at(later(30))

    def give(_):
        other = Database(settings.db_uri)
        try:
            verify(other, settings, vault, analyst, code)
        except WrongCode:
            return 0
        finally:
            other.close()
        return 1

    with ThreadPoolExecutor(5) as pool:
        assert sum(pool.map(give, range(5))) == 1


_OTHER_PROCESS = """
import sys, datetime as dt
from flowauth import settings
from flowauth.services import keys, people, two_factor
from flowauth.database import Database
uri, fernet, pem, code, moment = sys.stdin.read().split("\\0")
settings = settings.Settings(private_jwt_signing_key=pem, flowauth_fernet_key=fernet, secret_key="x" * 20, db_uri=uri)
database = Database(uri)
now = dt.datetime.fromtimestamp(float(moment), dt.UTC)
try:
    with database.write() as session:
        user = people.named(session, "ann")
        two_factor.verify(session, keys.Vault(fernet), settings, user, code, now=now)
    print("in")
except two_factor.WrongCode as refused:
    print(refused.message)
"""


@on_sqlite
@pytest.mark.takes_long("starts two processes, twice")
def test_a_code_counts_once_for_all_processes(database, settings, vault, analyst, proposal, signing_pem):
    """Two FlowAuths on one database take one code and one backup code once together."""
    fernet = settings.flowauth_fernet_key.get_secret_value()
    for code in (TOTP(proposal.secret).at(later(30)), proposal.backup_codes[0]):
        given = "\0".join([settings.db_uri, fernet, signing_pem, code, str(later(30).timestamp())])
        both = [
            subprocess.Popen([sys.executable, "-c", _OTHER_PROCESS], stdin=-1, stdout=-1, text=True) for _ in range(2)
        ]
        for process in both:
            process.stdin.write(given)
            process.stdin.close()
        said = [process.stdout.read().strip() for process in both]
        assert [process.wait(60) for process in both] == [0, 0]

        assert said.count("in") == 1


@pytest.mark.parametrize("written", [str, str.upper, lambda code: f" {code[:5]}-{code[5:]} "])
def test_a_backup_code_counts_once(database, settings, vault, analyst, proposal, written):
    """A backup code stands in for a code of the app, however I write it, once; the others remain."""
    code = proposal.backup_codes[7]
    verify(database, settings, vault, analyst, written(code))

    with pytest.raises(WrongCode):
        verify(database, settings, vault, analyst, code)
    verify(database, settings, vault, analyst, proposal.backup_codes[8])
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(BackupCode)) == 14
        told = session.scalars(sa.select(AuditRecord.after).where(AuditRecord.action == "two_factor.backup_used"))
        assert told.all() == [{"left": 15}, {"left": 14}]


def test_backup_codes_are_hashed(database, settings, vault, analyst, proposal):
    """Who reads the database finds neither my backup codes nor my secret; looking one up costs one argon2id hash."""
    with database.read() as session:
        stored = session.scalars(sa.select(BackupCode.code)).all()
        secret = session.scalars(sa.select(TwoFactor.secret)).one()

    assert all(each.startswith("$argon2id$") for each in stored)
    assert len({each.rpartition("$")[0] for each in stored}) == 1
    assert proposal.secret not in secret
    assert vault.opened(secret) == proposal.secret


def test_backup_codes_of_other_salts_work(database, settings, vault, analyst, proposal):
    """Backup codes that were hashed one by one, as FlowKit hashes them, are taken."""
    with database.write() as session:
        session.get_one(TwoFactor, analyst.id).backups = [
            BackupCode(code=passwords.hash_of(each)) for each in ("nonsense22", "abcdefgh23")
        ] + [BackupCode(code="not a hash")]

    verify(database, settings, vault, analyst, "abcdefgh23")


def test_new_backup_codes_take_the_place_of_the_old(database, settings, vault, analyst, proposal):
    """After I have made new backup codes, the old ones count no more."""
    with database.write() as session:
        codes = two_factor.new_backup_codes(session, "ann", analyst)

    assert len(set(codes)) == 16
    with pytest.raises(WrongCode):
        verify(database, settings, vault, analyst, proposal.backup_codes[0])
    verify(database, settings, vault, analyst, codes[0])


def test_proposed_backup_codes_are_taken_once(database, settings, vault, analyst, proposal):
    """Backup codes that were taken, or proposed before those in force, do not come back to life."""
    with database.read() as session:
        user = session.get_one(User, analyst.id)
        _, earlier = two_factor.propose_backup_codes(vault, settings, user, now=later(60))
        codes, signed = two_factor.propose_backup_codes(vault, settings, user, now=later(61))
    with database.write() as session:
        two_factor.take_backup_codes(session, vault, settings, analyst, signed, now=later(70))
    verify(database, settings, vault, analyst, codes[0], later(75))

    for text in (signed, earlier):
        with database.write() as session, pytest.raises(Refused, match="taken already"):
            two_factor.take_backup_codes(session, vault, settings, analyst, text, now=later(80))
    with pytest.raises(WrongCode):
        verify(database, settings, vault, analyst, codes[0], later(90))


def test_who_has_no_two_factor_has_no_backup_codes(database, analyst):
    """Backup codes are made only where two-factor is on."""
    with pytest.raises(Refused), database.write() as session:
        two_factor.new_backup_codes(session, "ann", analyst)


@on_sqlite
@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "٠١٢٣٤٥", "\ud800", "é" * 10, "x" * 10_000])
def test_what_is_no_code_is_refused(database, settings, vault, analyst, proposal, code):
    """Whatever else I type is told to be wrong, in a sentence."""
    with pytest.raises(WrongCode, match="The code is not right"):
        verify(database, settings, vault, analyst, code)


@on_sqlite
@pytest.mark.takes_long("signs in with a thousand codes")
def test_guessing_codes_is_slowed(database, settings, vault, analyst, proposal, monkeypatch):
    """Who has my password and guesses the code gets a handful of looks an hour, however often they sign in again."""
    looked = []
    own = two_factor._step_of
    monkeypatch.setattr(two_factor, "_step_of", lambda *given: looked.append(given[1]) or own(*given))
    for turn in range(1000):
        code = f"{turn:06d}"
        with pytest.raises((WrongCode, TooMany)):
            verify(database, settings, vault, analyst, code, later(30 + 3.6 * turn))

    assert 5 <= len(looked) <= 12
    verify(database, settings, vault, analyst, TOTP(proposal.secret).at(later(9000)), later(9000))


def test_the_owner_of_a_known_device_is_not_kept_out_by_guesses(database, settings, vault, analyst, proposal):
    """Though somebody guesses my codes elsewhere, my code is looked at where I have signed in before."""
    device = throttle.device_cookie(settings, analyst, None)
    for turn in range(20):
        with pytest.raises((WrongCode, TooMany)):
            verify(database, settings, vault, analyst, f"{turn:06d}")

    code = TOTP(proposal.secret).at(later(30))
    with pytest.raises(TooMany):
        verify(database, settings, vault, analyst, code)
    verify(database, settings, vault, analyst, code, device=device)


def test_a_wrong_code_does_not_sign_in(database, settings, vault, analyst, proposal):
    """My password and a wrong code do not sign in; the count of wrong codes outlives the refusal."""
    with database.write() as session:
        _, begun = sign_in.begin(session, settings, "ann", PASSWORD, HERE, now=NOW)
    for _ in range(2):
        with pytest.raises(NotSignedIn, match="The code is not right") as refused, database.write() as session:
            sign_in.give_code(session, vault, settings, begun, "00000", HERE, now=NOW)
        assert refused.value.field == "code"
    with database.read() as session:
        assert [each.complete for each in session.scalars(sa.select(SignIn))] == [False]
        counter = throttle.for_code(settings, analyst, None)[0]
        count = sa.select(throttle.Attempts.count).where(throttle.Attempts.of == counter.of)
        assert session.scalar(count) == 2


def test_switching_off_asks_for_a_code(database, settings, vault, analyst, proposal):
    """Two-factor is switched off with a code, and not without one."""
    for wrong in ("", "00000", TOTP(proposal.secret).at(NOW)):
        with pytest.raises(WrongCode), database.write() as session:
            two_factor.disable(session, vault, settings, analyst, wrong, now=NOW)

    with database.write() as session:
        two_factor.disable(session, vault, settings, analyst, proposal.backup_codes[0], now=NOW)

    with database.read() as session:
        assert session.get_one(User, analyst.id).two_factor is None
        assert session.scalars(sa.select(BackupCode)).all() == []


def test_what_is_required_is_not_switched_off(database, settings, vault, analyst, proposal):
    """Where two-factor is required of me, no code switches it off."""
    everybody = settings.model_copy(update={"flowauth_require_two_factor": True})
    with pytest.raises(NotAllowed, match="required of you"), database.write() as session:
        two_factor.disable(session, vault, everybody, analyst, proposal.backup_codes[0], now=NOW)


def test_two_factor_is_replaced_with_a_code_of_the_present_one(database, settings, vault, analyst, proposal):
    """Who has stolen my session cannot put their app in the place of mine; with a code I can put another one there."""
    made = two_factor.propose(vault, settings, analyst, now=later(30))
    code = TOTP(made.secret).at(later(30))
    for present in (None, "", "00000", code):
        with pytest.raises(Refused), database.write() as session:
            two_factor.enable(session, vault, settings, analyst, made.signed, code, present=present, now=later(30))

    present = TOTP(proposal.secret).at(later(30))
    with database.write() as session:
        two_factor.enable(session, vault, settings, analyst, made.signed, code, present=present, now=later(30))

    verify(database, settings, vault, analyst, TOTP(made.secret).at(later(60)), later(60))
    with pytest.raises(WrongCode):
        verify(database, settings, vault, analyst, TOTP(proposal.secret).at(later(90)), later(90))
    with pytest.raises(WrongCode):
        verify(database, settings, vault, analyst, proposal.backup_codes[1], later(90))


def test_a_new_device_takes_the_place_of_the_present_one_alone(database, settings, vault, analyst, proposal):
    """A device that is proposed for a code replaces the factor that the code was of, once, and none that came later."""
    with database.write() as session, pytest.raises(WrongCode):
        two_factor.propose_replacement(session, vault, settings, analyst, "000000", now=later(30))
    with database.write() as session:
        first, second = (
            two_factor.propose_replacement(session, vault, settings, analyst, code, now=later(30))
            for code in proposal.backup_codes[:2]
        )
    verify(database, settings, vault, analyst, proposal.backup_codes[2])
    for made, refused in ((first, None), (first, "changed meanwhile"), (second, "changed meanwhile")):
        code = TOTP(made.secret).at(later(60))
        with database.write() as session:
            if refused is None:
                two_factor.enable(session, vault, settings, analyst, made.signed, code, now=later(60))
                continue
            with pytest.raises(Refused, match=refused):
                two_factor.enable(session, vault, settings, analyst, made.signed, code, now=later(60))
    with pytest.raises(WrongCode):
        verify(database, settings, vault, analyst, proposal.backup_codes[3], later(90))
    verify(database, settings, vault, analyst, first.backup_codes[0], later(90))


def test_two_factor_works_again_after_a_reset(database, settings, vault, analyst, proposal):
    """After an administrator has reset my two-factor, I sign in by password and can set it up again."""
    with database.write() as session:
        people.change(session, "ada", people.find(session, analyst.id), reset_two_factor=True)
    made = two_factor.propose(vault, settings, analyst, now=NOW)
    with database.write() as session:
        assert sign_in.begin(session, settings, "ann", PASSWORD, HERE)[1].complete
        two_factor.enable(session, vault, settings, analyst, made.signed, TOTP(made.secret).at(NOW), now=NOW)


@on_sqlite
def test_no_code_and_no_secret_is_written_anywhere(database, settings, vault, analyst, caplog):
    """Neither the log nor the audit log holds a secret or a code, not even at the level debug."""
    caplog.set_level(logging.DEBUG)
    made = two_factor.propose(vault, settings, analyst, now=NOW)
    used = [TOTP(made.secret).at(NOW), TOTP(made.secret).at(later(30)), made.backup_codes[0]]
    with database.write() as session:
        two_factor.enable(session, vault, settings, analyst, made.signed, used[0], now=NOW)
    verify(database, settings, vault, analyst, used[1], later(30))
    verify(database, settings, vault, analyst, used[2], later(30))

    with database.read() as session:
        audited = str([[each.subject, each.before, each.after] for each in session.scalars(sa.select(AuditRecord))])
    for secret in [*used, made.secret, *made.backup_codes, made.signed]:
        assert secret not in caplog.text
        assert secret not in audited
        assert secret not in repr(made)
