"""Signing in with an OpenID Connect provider, which runs as a process of its own."""

import datetime as dt
import socket
import time
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import sqlalchemy as sa
from pydantic import ValidationError
from pyotp.totp import TOTP
from tests.flowauth.conftest import BOTH, PASSWORD, on_sqlite

from flowauth.errors import NotAllowed, NotReachable, NotSignedIn, NotThere, Refused
from flowauth.services import people, provider, sign_in, two_factor
from flowauth.services.provider import Identity
from flowauth.settings import Settings
from flowauth.tables import AuditRecord, SignIn, User

STORES = BOTH
HERE = "198.51.100.7"
CLIENT, SECRET = "flowauth client", "a secret: of %the client"


@pytest.fixture
def tell(issuer):
    """Tell the provider what to say; it forgets it after the test."""

    def told(**what):
        return httpx.post(f"{issuer}/tell", json=what).raise_for_status().json()

    told()
    provider.forget()
    yield told
    told()
    provider.forget()


@pytest.fixture
def linked(settings, issuer, tell) -> Settings:
    """A FlowAuth that has the provider."""
    there = {
        "flowauth_url": "http://localhost:9091",
        "flowauth_oidc_issuer": issuer,
        "flowauth_oidc_client_id": CLIENT,
        "flowauth_oidc_client_secret": type(settings.secret_key)(SECRET),
    }
    return settings.model_copy(update=there)


@pytest.fixture
def known(database, issuer, analyst) -> User:
    """`ann`, whom an administrator has linked to number 1001 of the provider."""
    with database.write() as session:
        user = people.find(session, analyst.id)
        provider.link_by(session, "ada", user, issuer, "1001")
        return user


def travel(settings, vault, purpose="sign in", person=None):
    """Go to the provider and come back: the cookie, and the query of the address that the browser was sent to."""
    journey = provider.go(settings, vault, purpose, person)
    there = httpx.get(journey.url)
    assert there.status_code == 302, there.text
    back = urlsplit(there.headers["location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == "http://localhost:9091/sign-in/provider"
    return journey.kept, dict(parse_qsl(back.query))


def arrive(settings, vault, purpose="sign in", person=None, **more) -> Identity:
    return provider.identify(settings, vault, *travel(settings, vault, purpose, person), **more)


def enter(database, settings, identity):
    with database.write() as session:
        return provider.begin(session, settings, identity, HERE)


def person_of(database, settings, cookie):
    with database.read() as session:
        person = sign_in.who(session, settings, cookie)
        session.expunge_all()
    return person


def by_password(database, settings):
    with database.write() as session:
        cookie, _ = sign_in.begin(session, settings, "ann", PASSWORD, HERE)
    return person_of(database, settings, cookie)


def test_who_is_linked_signs_in(database, vault, linked, issuer, known):
    """I sign in at my organisation's provider and am signed in here, without a password of FlowAuth's."""
    identity = arrive(linked, vault)
    cookie, begun = enter(database, linked, identity)

    assert identity == Identity(issuer, "1001", False, "sign in", None)
    assert begun.complete
    assert person_of(database, linked, cookie).user.username == "ann"
    with database.read() as session:
        told = session.scalars(sa.select(AuditRecord.after).where(AuditRecord.action == "sign_in"))
        assert told.all() == [{"by": "provider", "from": HERE}]


def test_the_way_there_is_guarded(linked, vault, tell):
    """The browser is sent with PKCE by SHA-256, a state and a nonce that are new each time, and the exact address."""
    for _ in range(2):
        travel(linked, vault)
    first, second = tell()[-2:]

    assert first["redirect_uri"] == "http://localhost:9091/sign-in/provider"
    assert (first["response_type"], first["code_challenge_method"], first["scope"]) == ("code", "S256", "openid")
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 43
        assert first[name] != second[name]


def test_who_is_not_linked_does_not_sign_in(database, vault, linked, tell, known):
    """Somebody else of my organisation is nobody here, though the provider says that their e-mail address is mine."""
    tell(sub="1002", claims={"email": "ann", "preferred_username": "ann", "name": "ann"})
    identity = arrive(linked, vault)
    with pytest.raises(NotSignedIn, match="knows you as '1002', but nobody here is linked to that yet"):
        enter(database, linked, identity)


def test_the_same_number_at_another_provider_is_somebody_else(database, vault, linked, issuer, known):
    """Number 1001 of another provider is not me."""
    with pytest.raises(NotSignedIn):
        enter(database, linked, Identity("https://elsewhere.example", "1001", True, "sign in", None))


@on_sqlite
@pytest.mark.parametrize(
    "lie",
    [
        {"claims": {"iss": "https://elsewhere.example"}},
        {"claims": {"aud": "another client"}},
        {"claims": {"aud": ["another client"]}},
        {"claims": {"aud": [CLIENT, "another client"]}},
        {"claims": {"aud": [CLIENT, "another client"], "azp": "another client"}},
        {"claims": {"azp": "another client"}},
        {"claims": {"aud": "another client", "azp": CLIENT}},
        {"claims": {"nonce": "another"}},
        {"times": {"exp": -90}},
        {"times": {"iat": 900}},
        {"times": {"nbf": 900}},
        {"claims": {"exp": "tomorrow"}},
        {"claims": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}},
        {"claims": {"sub": 1001}},
        {"claims": {"sub": ""}},
        {"claims": {"sub": "1001\n"}},
        {"claims": {"sub": "1" * 256}},
        *({"without": [name]} for name in ("iss", "aud", "nonce", "exp", "iat", "sub")),
        {"sign": "foreign"},
        {"sign": "none"},
        {"sign": "secret"},
        {"broken": '{"id_token": "nonsense"}'},
        {"broken": '{"id_token": "a.b.c"}'},
        {"broken": '{"id_token": 7}'},
        {"broken": "{}"},
    ],
)
def test_what_does_not_hold_is_not_believed(vault, linked, tell, known, lie):
    """An ID token of another provider, for another client, of another time, unsigned or signed otherwise is refused."""
    if times := lie.get("times"):
        lie = {"claims": {name: int(time.time()) + seconds for name, seconds in times.items()}}
    tell(**lie)
    with pytest.raises(NotSignedIn):
        arrive(linked, vault)


@on_sqlite
def test_clocks_may_differ_a_little(vault, linked, tell, known):
    """A provider whose clock is half a minute before or behind ours is believed."""
    for claims in ({"iat": int(time.time()) + 30}, {"exp": int(time.time()) - 30}):
        tell(claims=claims)
        assert arrive(linked, vault).subject == "1001"


@on_sqlite
def test_a_new_key_of_the_provider_is_fetched(vault, linked, tell, known):
    """When the provider signs with a new key, nobody has to start FlowAuth anew."""
    arrive(linked, vault)
    tell(sign="rotate")

    assert arrive(linked, vault).subject == "1001"


def test_an_answer_belongs_to_one_browser_and_one_way(vault, linked, known):
    """An answer that another browser got, that has a changed state, or comes too late, signs nobody in."""
    kept, answer = travel(linked, vault)
    other, _ = travel(linked, vault)
    late = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=20)
    for cookie, given, now in [
        (other, answer, None),
        (None, answer, None),
        ("made up", answer, None),
        (vault.sealed("[]"), answer, None),
        (vault.sealed('{"is": "something else"}'), answer, None),
        (kept, {**answer, "state": "x"}, None),
        (kept, {**answer, "state": "é"}, None),
        (kept, {"code": answer["code"]}, None),
        (kept, {"state": answer["state"]}, None),
        (kept, {**answer, "iss": "https://elsewhere.example"}, None),
        (kept, answer, late),
    ]:
        with pytest.raises(NotSignedIn):
            provider.identify(linked, vault, cookie, given, now=now)

    assert provider.identify(linked, vault, kept, answer).subject == "1001"


def test_a_code_counts_once(vault, linked, known):
    """Who has seen the address that I came back to cannot use it again, nor with a verifier of their own."""
    kept, answer = travel(linked, vault)
    provider.identify(linked, vault, kept, answer)
    with pytest.raises(NotSignedIn, match="did not accept the code"):
        provider.identify(linked, vault, kept, answer)

    mine, my_answer = travel(linked, vault)
    _, theirs = travel(linked, vault)
    with pytest.raises(NotSignedIn, match="did not accept the code"):
        provider.identify(linked, vault, mine, {**my_answer, "code": theirs["code"]})


@on_sqlite
def test_a_refusal_of_the_provider_is_told(vault, linked, tell, known):
    """When the provider does not let me in I read so; what it says beyond a known form is not shown."""
    tell(refuse="access_denied")
    with pytest.raises(NotSignedIn, match=r"Your organisation did not sign you in: access_denied\."):
        arrive(linked, vault)
    tell(refuse="<script>alert(1)</script>")
    with pytest.raises(NotSignedIn, match=r"^Your organisation did not sign you in\.$"):
        arrive(linked, vault)


def test_a_second_factor_is_wanted_as_of_everybody(database, vault, linked, known):
    """Who has two-factor gives a code after the provider too; who must have it and has none must set it up."""
    everybody = linked.model_copy(update={"flowauth_require_two_factor": True})
    cookie, _ = enter(database, linked, arrive(linked, vault))
    assert person_of(database, everybody, cookie).set_up_needed

    now = dt.datetime.now(dt.UTC)
    made = two_factor.propose(vault, linked, known, now=now)
    with database.write() as session:
        two_factor.enable(session, vault, linked, known, made.signed, TOTP(made.secret).at(now), now=now)
    _, begun = enter(database, linked, arrive(linked, vault))

    assert not begun.complete
    later = now + dt.timedelta(seconds=30)
    with database.write() as session:
        code = TOTP(made.secret).at(later)
        assert sign_in.give_code(session, vault, linked, begun, code, HERE, now=later)[1].complete


@on_sqlite
@pytest.mark.parametrize(("amr", "enough"), [(["pwd", "mfa"], True), (["pwd"], False), (["otp"], False), ([], False)])
def test_the_providers_second_factor_is_enough(database, vault, linked, tell, known, amr, enough):
    """Where the provider says that it asked for two factors (`mfa`), FlowAuth asks for no more; else it does."""
    everybody = linked.model_copy(update={"flowauth_require_two_factor": True})
    tell(claims={"amr": amr})
    cookie, begun = enter(database, everybody, arrive(everybody, vault))

    assert begun.provider_mfa is enough
    assert person_of(database, everybody, cookie).set_up_needed is not enough


@on_sqlite
def test_an_amr_that_is_no_list_is_not_believed(vault, linked, tell, known):
    """`mfa` within a text is not a second factor."""
    tell(claims={"amr": "no mfa"})
    with pytest.raises(NotSignedIn):
        arrive(linked, vault)


def test_somebody_who_is_signed_in_links_themselves(database, vault, linked, issuer, analyst):
    """Signed in with my password, I link my account to the provider, and sign in by it from then on."""
    person = by_password(database, linked)
    identity = arrive(linked, vault, "link", person)
    with pytest.raises(NotSignedIn):
        enter(database, linked, identity)
    with database.write() as session:
        provider.link(session, person, identity)

    assert enter(database, linked, arrive(linked, vault))[1].user.username == "ann"
    with database.read() as session:
        told = session.scalars(sa.select(AuditRecord.after).where(AuditRecord.action == "provider.link")).all()
    assert told == [{"issuer": issuer, "subject": "1001"}]


def test_a_link_is_for_who_began_it(database, vault, linked, analyst, administrator):
    """Nobody can link their own account of the provider to me, nor with an answer that was for signing in."""
    person = by_password(database, linked)
    identity = arrive(linked, vault, "link", person)
    for other in (
        replace(identity, user_id=administrator.id),
        replace(identity, purpose="sign in"),
        replace(identity, purpose="confirm"),
    ):
        with pytest.raises(NotAllowed), database.write() as session:
            provider.link(session, person, other)
    with pytest.raises(NotAllowed), database.write() as session:
        provider.link(session, replace(person, set_up_needed=True), identity)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=30)
    with pytest.raises(NotAllowed, match="give it again"), database.write() as session:
        provider.link(session, person, identity, now=later)
    with pytest.raises(NotAllowed):
        provider.go(linked, vault, "link")
    with database.read() as session:
        assert session.get_one(User, analyst.id).provider_subject is None


def test_one_account_there_is_one_person_here(database, issuer, known, administrator):
    """An account of the provider cannot be linked to two people, nor two to one."""
    with database.write() as session:
        provider.link_by(session, "ada", people.find(session, known.id), issuer, "1001")
    with pytest.raises(Refused, match="Another user is linked"), database.write() as session:
        provider.link_by(session, "ada", people.find(session, administrator.id), issuer, "1001")
    with pytest.raises(Refused, match="unlink first"), database.write() as session:
        provider.link_by(session, "ada", people.find(session, known.id), issuer, "1002")
    for subject in ("", "  ", "a\nb", "x" * 256):
        with pytest.raises(Refused), database.write() as session:
            provider.link_by(session, "ada", people.find(session, administrator.id), issuer, subject)


def test_unlinking_ends_signing_in_by_the_provider(database, vault, linked, known):
    """Unlinked, I do not sign in by the provider any more, and who was signed in is not; without a password, not so."""
    _, begun = enter(database, linked, arrive(linked, vault))
    with database.write() as session:
        provider.unlink(session, "ada", people.find(session, known.id))

    with database.read() as session:
        assert session.get(SignIn, begun.id) is None
    with pytest.raises(NotSignedIn):
        enter(database, linked, arrive(linked, vault))
    with database.write() as session:
        alone = people.create(session, "ada", "bob", None, provider_issuer="https://id.example", provider_subject="7")
    with pytest.raises(Refused, match="has no password"), database.write() as session:
        provider.unlink(session, "ada", people.find(session, alone.id))


def test_who_has_no_password_confirms_at_the_provider(database, vault, linked, tell, known):
    """Where FlowAuth asks for the password again, who has none signs in at the provider anew, for ten minutes."""
    with database.write() as session:
        people.find(session, known.id).password = None
    cookie, _ = enter(database, linked, arrive(linked, vault))
    person = person_of(database, linked, cookie)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=15)
    with pytest.raises(Refused, match="again"), database.write() as session:
        sign_in.confirm(session, linked, person, "", HERE, now=later)

    identity = arrive(linked, vault, "confirm", person)
    assert {"prompt": "login", "max_age": "0"}.items() <= tell()[-1].items()
    with database.write() as session:
        provider.confirm(session, person, identity, now=later)
        assert sign_in.confirm(session, linked, person, "", HERE, now=later) is None
    assert person_of(database, linked, cookie).user.username == "ann", "The cookie changes on the way back from there."

    with pytest.raises(NotAllowed), database.write() as session:
        provider.confirm(session, person, replace(identity, subject="1002"))


@on_sqlite
@pytest.mark.parametrize(
    "lie",
    [
        {"claims": {"auth_time": int(time.time()) - 7200}},
        {"claims": {"auth_time": True}},
        {"claims": {"auth_time": "now"}},
        {"without": ["auth_time"]},
    ],
)
def test_an_old_sign_in_at_the_provider_confirms_nothing(database, vault, linked, tell, known, lie):
    """A provider that did not ask me anew does not confirm that it is me."""
    person = by_password(database, linked)
    tell(**lie)
    with pytest.raises(NotSignedIn):
        arrive(linked, vault, "confirm", person)


@on_sqlite
def test_a_provider_that_is_down_is_a_sentence(vault, linked, tell, known):
    """When the provider is down I read so, and that my password works; nobody sees a traceback."""
    kept, answer = travel(linked, vault)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        gone = linked.model_copy(update={"flowauth_oidc_issuer": f"http://127.0.0.1:{closed.getsockname()[1]}"})
        for ask in (lambda: provider.go(gone, vault), lambda: provider.identify(gone, vault, kept, answer)):
            with pytest.raises(NotReachable, match="cannot be reached for signing in at present") as refused:
                ask()
            assert refused.value.status == 502


@on_sqlite
@pytest.mark.parametrize("broken", ["<html>", "[]", "7", "", "x" * 2_000_000])
def test_a_provider_that_talks_nonsense_is_a_sentence(vault, linked, tell, known, broken):
    """What is no answer of a provider, or has no end, is told as such."""
    tell(broken=broken)
    with pytest.raises(NotReachable):
        arrive(linked, vault)


@on_sqlite
@pytest.mark.parametrize(
    "lie", [{"issuer": "https://elsewhere.example"}, {"token_endpoint": "http://elsewhere.example/token"}]
)
def test_a_provider_that_is_another_is_not_used(vault, linked, tell, lie):
    """A provider that calls itself otherwise, or wants the client's secret without https, is not used."""
    tell(**lie)
    with pytest.raises(NotReachable):
        provider.go(linked, vault)


@on_sqlite
def test_without_a_provider_there_is_none(settings, vault):
    """Where no provider is set, there is none to sign in with."""
    assert not provider.offered(settings)
    with pytest.raises(NotThere):
        provider.go(settings, vault)


@on_sqlite
def test_a_half_set_provider_is_told(settings):
    """A provider whose settings are incomplete, or that is reached without https, is told at the start."""
    given = {name: getattr(settings, name) for name in ("private_jwt_signing_key", "flowauth_fernet_key", "secret_key")}
    whole = {
        "flowauth_oidc_issuer": "https://id.example",
        "flowauth_oidc_client_id": "flowauth",
        "flowauth_oidc_client_secret": "secret",
        "flowauth_url": "https://auth.example",
    }
    assert provider.offered(Settings(**given, **whole))
    for name in whole:
        with pytest.raises(ValidationError, match="needs FLOWAUTH_"):
            Settings(**given, **{key: value for key, value in whole.items() if key != name})
    with pytest.raises(ValidationError, match="begins with https"):
        Settings(**given, **whole | {"flowauth_oidc_issuer": "http://id.example"})
