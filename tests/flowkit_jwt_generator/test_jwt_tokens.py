import base64
import datetime
import gzip
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from flowkit_jwt_generator import (
    TokenError,
    compress_claims,
    decompress_claims,
    generate_token,
    verify_token,
)
from flowkit_jwt_generator.keys import key_id

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
HOUR = datetime.timedelta(hours=1)
ROLES = {"runner": ["run", "admin3:flows:flows"], "viewer": ["get_result"]}


def made(**changes):
    given = {
        "flowapi_identifier": "A",
        "username": "u",
        "private_key": KEY,
        "lifetime": HOUR,
        "roles": ROLES,
    }
    return generate_token(**{**given, **changes})


def test_a_token_says_who_where_until_when_and_what():
    """A verified token tells its user, server, end, id, issuer and roles."""
    before = datetime.datetime.now(datetime.UTC)
    claims = verify_token(made(flowauth_identifier="I"), [KEY.public_key()], "A")
    assert (claims.subject, claims.audience, claims.issuer) == ("u", "A", "I")
    assert claims.roles == {"runner": {"run", "admin3:flows:flows"}, "viewer": {"get_result"}}
    assert abs((claims.expires - before - HOUR).total_seconds()) < 5
    assert claims.token_id


def test_the_payload_is_flowkits():
    """The claims have FlowKit's names and types, and two tokens never share their id."""
    payload = jwt.decode(made(), options={"verify_signature": False})
    assert set(payload) == {"iat", "nbf", "exp", "jti", "sub", "aud", "user_claims"}
    assert payload["exp"] - payload["iat"] == 3600
    assert payload["nbf"] == payload["iat"]
    assert json.loads(gzip.decompress(base64.b64decode(payload["user_claims"]))) == ROLES
    assert payload["user_claims"].endswith("\n")
    assert payload["jti"] != jwt.decode(made(), options={"verify_signature": False})["jti"]
    header = jwt.get_unverified_header(made())
    assert header == {"alg": "RS256", "typ": "JWT", "kid": key_id(KEY.public_key())}


def test_roles_may_stand_in_the_token_as_they_are():
    """Without packing the roles are plain, and verifying such a token is refused."""
    token = made(compress=False)
    assert jwt.decode(token, options={"verify_signature": False})["user_claims"] == ROLES
    with pytest.raises(TokenError) as error:
        verify_token(token, [KEY.public_key()], "A")
    assert error.value.code == "token_claim_invalid"


@given(st.dictionaries(st.text(max_size=20), st.lists(st.text(max_size=40), max_size=20), max_size=8))
@settings(max_examples=100, deadline=None)
def test_packed_roles_are_unpacked_the_same(roles):
    """Whatever the roles, packing and unpacking changes nothing, and lines are 76 characters at most."""
    packed = compress_claims(roles)
    assert decompress_claims(packed) == roles
    assert all(len(line) <= 76 for line in packed.splitlines())


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_what_is_not_packed_is_refused(text):
    """Any text that is not packed roles is a ValueError."""
    with pytest.raises(ValueError, match="user_claims"):
        decompress_claims(text)


def test_a_bomb_is_not_unpacked():
    """Claims that would unpack to a gigabyte are refused after two megabytes."""
    bomb = base64.encodebytes(gzip.compress(b" " * 50_000_000)).decode()
    assert len(bomb) < 100_000
    with pytest.raises(ValueError, match="more than 2000000 bytes"):
        decompress_claims(bomb)
    exact = base64.encodebytes(gzip.compress(b"{}" + b" " * 1_999_998)).decode()
    assert decompress_claims(exact) == {}


def test_all_scopes_of_flowkit_fit_into_a_header():
    """A token with six hundred scopes in one role stays below eight kilobytes."""
    scopes = [f"admin{u}:kind_number_{k}:nested_kind_{n}" for u in range(5) for k in range(11) for n in range(11)]
    assert len(made(roles={"all": scopes})) < 8_000


def test_old_and_new_keys_are_accepted_together():
    """While keys are changed, tokens of both are good, with and without a key id."""
    keys = [OTHER.public_key(), KEY.public_key()]
    assert verify_token(made(), keys, "A").subject == "u"
    payload = jwt.decode(made(), options={"verify_signature": False})
    without = jwt.encode(payload, KEY, algorithm="RS256")
    assert verify_token(without, keys, "A").subject == "u"


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (made(lifetime=datetime.timedelta(seconds=-1)), "token_expired"),
        (made(flowapi_identifier="B"), "token_audience"),
        (made(flowapi_identifier=None), "token_claim_missing"),
        (made(private_key=OTHER), "token_signature"),
        ("nonsense", "token_malformed"),
        ("", "token_malformed"),
        (made().rpartition(".")[0] + "." + made(username="v").rpartition(".")[2], "token_signature"),
        (made() + "x" * 3, "token_malformed"),
    ],
    ids=lambda value: value[:20],
)
def test_a_wrong_token_has_a_code_and_a_sentence(token, code):
    """Each reason to refuse a token has a code of its own, and a message that does not repeat the token."""
    with pytest.raises(TokenError) as error:
        verify_token(token, [KEY.public_key()], "A")
    assert error.value.code == code
    assert error.value.message
    assert not token or token not in error.value.message


def test_without_keys_nothing_is_accepted():
    """No key, no token."""
    with pytest.raises(TokenError) as error:
        verify_token(made(), [], "A")
    assert error.value.code == "token_signature"
