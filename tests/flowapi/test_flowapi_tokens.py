import base64
import datetime
import gzip
import hmac
import json
import uuid

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

NOW = int(datetime.datetime.now(datetime.UTC).timestamp())
PACKED = base64.encodebytes(gzip.compress(json.dumps({"r": ["get_available_dates"]}).encode())).decode()
PAYLOAD = {
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 3600,
    "jti": str(uuid.uuid4()),
    "sub": "TEST_USER",
    "aud": "TEST_SERVER",
    "user_claims": PACKED,
}
ABSENT = object()
PATH = "/api/0/available_dates"


def token(key, **changes):
    payload = {name: value for name, value in {**PAYLOAD, **changes}.items() if value is not ABSENT}
    return jwt.encode(payload, key, algorithm="RS256")


def packed(value):
    return base64.encodebytes(gzip.compress(json.dumps(value).encode())).decode()


def test_a_token_as_flowkit_makes_it_is_accepted(call, signing_key):
    """A token with FlowKit's claims, gzip by another program and no key id, opens the door."""
    assert call("GET", PATH, token=token(signing_key)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "status", "msg"),
    [
        ({"exp": NOW - 1}, 401, "Token has expired"),
        ({"exp": 10**18}, 422, "exp of the token lies beyond the calendar"),
        ({"exp": 253_402_300_800}, 422, "exp of the token lies beyond the calendar"),
        ({"exp": 1e300}, 422, ""),
        ({"exp": ABSENT}, 422, "Missing claim: exp"),
        ({"exp": "soon"}, 422, ""),
        ({"aud": "OTHER_SERVER"}, 422, "Audience doesn't match"),
        ({"aud": ABSENT}, 422, "Missing claim: aud"),
        ({"sub": ABSENT}, 422, "Missing claim: sub"),
        ({"sub": 7}, 422, "sub of the token must be a text"),
        ({"nbf": NOW + 3600}, 422, "not yet valid"),
        ({"iat": NOW + 3600}, 422, ""),
        ({"type": "refresh"}, 422, "Only access tokens are allowed"),
        ({"type": "access"}, 200, None),
        ({"nbf": ABSENT, "jti": ABSENT, "iat": ABSENT}, 200, None),
        ({"user_claims": ABSENT}, 422, "Missing claim: user_claims"),
        ({"user_claims": {"r": ["get_available_dates"]}}, 422, "not packed"),
        ({"user_claims": packed(["get_available_dates"])}, 422, "map each role to a list of scopes"),
        ({"user_claims": packed({"r": "get_available_dates"})}, 422, "map each role to a list of scopes"),
        ({"user_claims": PACKED[:20]}, 422, ""),
        ({"user_claims": packed("x" * 5_000_000)}, 422, "unpack to more than"),
        ({"user_claims": packed({})}, 403, "User claims verification failed"),
        ({"user_claims": packed({"r": ["get_result"]})}, 403, "User claims verification failed"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else str(value)[:40],
)
def test_each_claim_is_checked(call, signing_key, changes, status, msg):
    """A token with a wrong or missing claim is refused with FlowKit's status code and a reason."""
    answer = call("GET", PATH, token=token(signing_key, **changes))
    assert answer.status_code == status
    if msg is not None:
        assert msg in answer.json()["msg"]
        assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


def test_a_token_is_needed(call):
    """Without a header the answer is 401."""
    answer = call("GET", PATH, None)
    assert answer.status_code == 401
    assert answer.json()["msg"] == "Missing Authorization Header"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["Basic dXNlcjpwYXNz", "Bearer", "token"])
def test_only_bearer_tokens_are_read(call, header):
    """Another scheme answers 422 and says what is expected."""
    answer = call("GET", PATH, None, headers={"Authorization": header})
    assert answer.status_code == 422
    assert answer.json()["msg"] == "Bad Authorization header. Expected value 'Bearer <JWT>'"


def _unsigned(header, payload):
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, payload))
    return b".".join([*parts, b""]).decode()


def test_what_is_no_token_is_refused(call):
    """Text that is not a token answers 422."""
    answer = call("GET", PATH, token="nonsense")
    assert answer.status_code == 422
    assert answer.json()["msg"] == "Not enough segments"


@pytest.mark.parametrize("text", ["a.b.c", "..", _unsigned({"alg": "none"}, PAYLOAD), "!" * 30_000])
def test_a_damaged_token_is_refused(call, text):
    """Damaged and unsigned tokens answer 422 with a reason."""
    answer = call("GET", PATH, token=text)
    assert answer.status_code == 422
    assert answer.json()["msg"]


def test_a_token_with_an_endless_header_is_refused(call):
    """A header nested thousands deep is a malformed token, not a failure of the server."""
    header = base64.urlsafe_b64encode(b"[" * 30_000).rstrip(b"=").decode()
    assert call("GET", PATH, token=f"{header}.e30.e30").status_code == 422


def test_a_token_of_another_key_is_refused(call):
    """Who signs with another key is refused, whatever key id the token claims."""
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    answer = call("GET", PATH, token=token(other))
    assert answer.status_code == 422
    assert answer.json()["msg"] == "Signature verification failed"


def test_another_algorithm_is_refused(call, signing_key):
    """A token signed with the public key as a shared secret is refused."""
    public = signing_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signed = _unsigned({"alg": "HS256", "typ": "JWT"}, PAYLOAD).rstrip(".")
    mac = base64.urlsafe_b64encode(hmac.digest(public, signed.encode(), "sha256")).rstrip(b"=").decode()
    answer = call("GET", PATH, token=f"{signed}.{mac}")
    assert answer.status_code == 422
    assert "RS256" in answer.json()["msg"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/0/run"),
        ("GET", "/api/0/poll/" + "0" * 32),
        ("GET", "/api/0/get/" + "0" * 32),
        ("GET", "/api/0/get/" + "0" * 32 + ".csv"),
        ("POST", "/api/0/cancel/" + "0" * 32),
        ("GET", "/api/0/available_dates"),
        ("GET", "/api/0/geography/admin3"),
        ("GET", "/api/0/qa"),
        ("GET", "/api/0/qa/"),
        ("GET", "/api/0/qa/calls/count_null_imeis"),
        ("GET", "/api/0/qa/calls/count_null_imeis/2016-01-01"),
    ],
)
def test_every_data_route_needs_a_token(call, fake, method, path):
    """Without a token no route asks the FlowMachine server anything."""
    before = len(fake.actions)
    assert call(method, path, None).status_code == 401
    assert len(fake.actions) == before
