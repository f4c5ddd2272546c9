"""Signing keys: several at once, changed without a gap, withdrawn at once when one has leaked."""

import base64
import datetime as dt
from urllib.parse import quote

import jwt
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import ValidationError
from tests.flowauth.conftest import BOTH, document

from flowauth.errors import NotThere, Refused
from flowauth.services import keys, people, revocations, roles, servers, tokens
from flowauth.services.limits import Limits
from flowauth.tables import AuditRecord, SigningKey, Token
from flowkit_jwt_generator.jwt import TokenError, verify_token
from flowkit_jwt_generator.keys import generate_keypair, load_public_key

STORES = BOTH


@pytest.fixture(scope="module")
def pairs():
    """Three key pairs, for making one takes its time."""
    return [generate_keypair() for _ in range(3)]


@pytest.fixture(autouse=True)
def quick_pairs(monkeypatch, pairs):
    """Announce keys that were made before."""
    fresh = iter(pairs)
    monkeypatch.setattr(keys, "generate_keypair", lambda: next(fresh))


@pytest.fixture
def make_token(database, vault, server, analyst, make_role):
    """Make a token of the analyst, who holds the role `viewer`; gives its row and its text."""
    role = make_role("viewer", users=[analyst])

    def make(**more):
        with database.write() as session:
            user, there = people.find(session, analyst.id), servers.find(session, server.id)
            issued = tokens.issue(session, vault, user, there, [roles.find(session, role.id)], name="mine", **more)
            return issued.token, issued.text

    return make


def _announce(database, vault, **later):
    with database.write() as session:
        return keys.announce(session, keys.make(vault), "ada", dt.datetime.now(dt.UTC) + dt.timedelta(**later)).kid


def _key_set(database):
    with database.read() as session:
        return {each["kid"]: each for each in keys.key_set(session)["keys"]}


def _believed(database, text):
    """Read a token as a FlowAPI does that has just fetched the key set."""
    published = [jwt.PyJWK(each).key for each in _key_set(database).values()]
    return verify_token(text, published, "TEST_SERVER")


def test_the_key_of_the_settings_signs_first(database, vault, settings, make_token):
    """A FlowAuth that was just set up signs with PRIVATE_JWT_SIGNING_KEY, whose public half FlowAPI has already."""
    _, text = make_token()
    private = keys.load_private_key(settings.private_jwt_signing_key.get_secret_value())
    assert verify_token(text, [private.public_key()], "TEST_SERVER").subject == "ann"


def test_the_same_key_is_admitted_once(database, vault, settings):
    """Starting again changes nothing about the keys, and writes nothing into the audit log."""
    with database.write() as session:
        keys.admit(session, vault, settings.private_jwt_signing_key.get_secret_value())
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(SigningKey)) == 1
        announced = sa.select(sa.func.count()).where(AuditRecord.action == "key.announce")
        assert session.scalar(announced) == 1


def test_a_key_is_announced_before_it_signs(database, vault, make_token):
    """A new key stands in the key set at once, and signs only from its moment on."""
    new = _announce(database, vault, hours=1)
    assert new in _key_set(database)
    token, text = make_token()
    assert token.kid != new
    assert jwt.get_unverified_header(text)["kid"] == token.kid


def test_rotation_leaves_no_gap(database, vault, make_token, clock):
    """Tokens of before, while and after a change of keys are believed by who follows the key set, until their end."""
    old, before = make_token()
    new = _announce(database, vault, minutes=30)
    _, while_announced = make_token()
    assert _believed(database, while_announced)
    clock(minutes=31)
    token, after = make_token(lifetime_minutes=10)
    assert token.kid == new
    for text in (before, while_announced, after):
        assert _believed(database, text).subject == "ann"
    assert set(_key_set(database)) == {old.kid, new}
    clock(days=2)
    assert set(_key_set(database)) == {new}, "Nothing that the old key has signed is alive."


def test_the_latest_key_signs_whatever_the_order_of_announcing(database, vault, make_token, clock):
    """Of several keys whose moment has come, the one with the latest moment signs."""
    clock(hours=1)
    newest = _announce(database, vault, seconds=-1)
    _announce(database, vault, seconds=-60)
    token, _ = make_token()
    assert token.kid == newest


def test_a_withdrawn_key_is_believed_no_more(database, vault, make_token):
    """After a leak: the key leaves the key set, its live tokens are revoked, and new tokens have another key."""
    token, text = make_token()
    new = _announce(database, vault, seconds=0)
    with database.write() as session:
        assert keys.withdraw(session, "ada", token.kid) == 1
    assert set(_key_set(database)) == {new}
    with pytest.raises(TokenError):
        _believed(database, text)
    with database.read() as session:
        assert session.scalar(sa.select(Token.revoked_because)) == "its key was withdrawn"
    assert make_token()[0].kid == new
    with database.write() as session:
        assert keys.withdraw(session, "ada", token.kid) == 0, "A second time changes nothing."


def test_a_withdrawn_key_that_comes_with_the_settings_stays_withdrawn(database, vault, settings):
    """A leaked key that still stands in PRIVATE_JWT_SIGNING_KEY is not believed again after a restart."""
    new = _announce(database, vault, seconds=0)
    with database.write() as session:
        old = session.scalars(sa.select(SigningKey.kid).where(SigningKey.kid != new)).one()
        keys.withdraw(session, "ada", old)
    with database.write() as session:
        keys.admit(session, vault, settings.private_jwt_signing_key.get_secret_value())
        assert keys.signing(session, vault)[0] == new
    assert set(_key_set(database)) == {new}


def test_the_only_key_is_not_withdrawn(database, vault, make_token):
    """FlowAuth is never left without a key that signs; a key of tomorrow does not count."""
    token, _ = make_token()
    _announce(database, vault, days=1)
    with database.write() as session, pytest.raises(Refused, match="only key"):
        keys.withdraw(session, "ada", token.kid)
    with database.write() as session, pytest.raises(NotThere):
        keys.withdraw(session, "ada", "no such key")


def test_no_private_half_is_published(database, vault, app, client):
    """The key set and the list of public keys hold public halves alone, and say what each is for."""
    _announce(database, vault, hours=1)
    for key in client.get("/.well-known/jwks.json").json()["keys"]:
        assert set(key) == {"kty", "use", "alg", "kid", "n", "e"}
        assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")
    with database.read() as session:
        pem = keys.public_keys(session)
    assert pem.count("BEGIN PUBLIC KEY") == 2
    assert "PRIVATE" not in pem


def test_the_key_that_signs_comes_first_in_the_file(database, vault, make_token):
    """A FlowKit FlowAPI, which reads one key alone, gets the one that signs now."""
    _announce(database, vault, hours=1)
    token, text = make_token()
    with database.read() as session:
        first = keys.public_keys(session).split("-----END PUBLIC KEY-----")[0] + "-----END PUBLIC KEY-----\n"
    assert verify_token(text, [load_public_key(first)], "TEST_SERVER").token_id == token.jti


def test_private_keys_are_encrypted_at_rest(database, vault, settings):
    """Who copies the database has no signing key: it is encrypted with FLOWAUTH_FERNET_KEY."""
    _announce(database, vault, seconds=0)
    with database.read() as session:
        kept = session.scalars(sa.select(SigningKey.private)).all()
    body = "".join(settings.private_jwt_signing_key.get_secret_value().splitlines()[1:-1])
    for each in kept:
        assert "PRIVATE" not in each
        assert body[:40] not in each
        assert b"PRIVATE" not in base64.urlsafe_b64decode(each)
    with pytest.raises(Refused, match="FLOWAUTH_FERNET_KEY"):
        keys.Vault(Fernet.generate_key().decode()).opened(kept[0])


def test_a_key_that_is_too_short_is_not_taken(settings):
    """An RSA key that can be broken is refused when FlowAuth starts, with what to do."""
    weak = rsa.generate_private_key(65537, 1024).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ValidationError, match="has 1024 bits"):
        type(settings)(**settings.model_dump() | {"private_jwt_signing_key": weak.decode()})


def test_the_revocation_list_is_signed_and_of_one_server(database, vault, make_token):
    """The list is signed by the key that signs tokens, names its server, and can be taken for no token."""
    token, text = make_token()
    with database.write() as session:
        tokens.revoke(session, "ada", session.get_one(Token, token.id), "it was lost")
        listed = revocations.signed_list(session, vault, session.get_one(Token, token.id).server)
    header = jwt.get_unverified_header(listed)
    public = jwt.PyJWK(_key_set(database)[header["kid"]]).key
    said = jwt.decode(listed, public, algorithms=["RS256"], audience="TEST_SERVER")
    assert list(said["revoked"]) == [token.jti]
    with pytest.raises(TokenError):
        _believed(database, listed)
    assert text not in listed


def test_a_server_with_a_slash_in_its_name_has_a_revocation_list(database, vault, app, client):
    """Whatever a server is called, its FlowAPI can fetch the list."""
    for name in ("operator/north", "a b", "ü?#%&"):
        with database.write() as session:
            servers.create(session, "tests", servers.read_document(document(name)), Limits(None, 60))
        answer = client.get(f"/revocations/{quote(name, safe='')}")
        assert answer.status_code == 200, name
        assert jwt.decode(answer.text, options={"verify_signature": False})["aud"] == name
    assert client.get("/revocations/nobody").status_code == 404


def test_a_new_pair_is_strong(pairs):
    """Keys that FlowAuth makes have 128 bits of strength or more."""
    assert {keys.load_private_key(private.decode()).key_size >= 3072 for private, _ in pairs} == {True}
