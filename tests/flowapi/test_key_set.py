import asyncio
import datetime
import json
import os
import subprocess
import sys
import time

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import ValidationError
from tests.flowapi.flowauth_stand_in import key_set, signed_list

from flowapi import revocations
from flowapi.revocations import Trust
from flowapi.settings import Settings
from flowkit_jwt_generator import generate_token, read_key_set
from flowkit_jwt_generator.jwt import TokenError
from flowkit_jwt_generator.keys import public_pem

NOW = int(datetime.datetime.now(datetime.UTC).timestamp())


@pytest.fixture
def settings(flowauth, tmp_path):
    def make(**changes):
        told = {
            "flowapi_identifier": "TEST_SERVER",
            "flowapi_key_set": flowauth.keys_url,
            "flowapi_state": tmp_path / "state",
            **changes,
        }
        return Settings(**told)

    return make


def token_of(key, **changes):
    told = {"flowapi_identifier": "TEST_SERVER", "username": "ann", "private_key": key, "roles": {"r": ["run"]}}
    return generate_token(**{**told, "lifetime": datetime.timedelta(hours=1), **changes})


async def believed(trust, key):
    try:
        await trust.verify(token_of(key))
    except TokenError as error:
        if error.code != "token_signature":
            raise
        return False
    return True


async def test_tokens_of_every_published_key_are_believed(flowauth, settings, signing_key, other_key):
    """Without PUBLIC_JWT_SIGNING_KEY, tokens of each key of the set open the door, and of no other."""
    flowauth.publish(signing_key, other_key)
    trust = Trust(settings())
    async with trust.kept_in_step():
        assert await believed(trust, signing_key)
        assert await believed(trust, other_key)
        assert not await believed(trust, rsa.generate_private_key(public_exponent=65537, key_size=2048))


async def test_a_new_key_is_fetched_when_a_token_names_it(flowauth, settings, signing_key, other_key):
    """The first token of a key that FlowAPI has not heard of makes it read the set at once."""
    flowauth.publish(signing_key)
    trust = Trust(settings(flowapi_refresh_seconds=3600))
    async with trust.kept_in_step():
        flowauth.publish(signing_key, other_key)
        assert await believed(trust, other_key)


async def test_tokens_with_unknown_keys_do_not_make_flowapi_ask_without_end(flowauth, settings, signing_key, other_key):
    """A hundred tokens of an unknown key, at once and after, cost FlowAuth one request."""
    flowauth.publish(signing_key)
    trust = Trust(settings(flowapi_refresh_seconds=3600))
    async with trust.kept_in_step():
        asked = len(flowauth.asked)
        assert not any(await asyncio.gather(*(believed(trust, other_key) for _ in range(100))))
        assert len(flowauth.asked) == asked + 1
        assert await believed(trust, signing_key)
        assert len(flowauth.asked) == asked + 1


async def test_another_early_reading_comes_after_a_while(flowauth, settings, signing_key, other_key, monkeypatch):
    """A key that comes later is found by a later token, some seconds after the last early reading."""
    monkeypatch.setattr(revocations, "EARLY_SECONDS", 0.2)
    flowauth.publish(signing_key)
    trust = Trust(settings(flowapi_refresh_seconds=3600))
    async with trust.kept_in_step():
        assert not await believed(trust, other_key)
        flowauth.publish(signing_key, other_key)
        assert not await believed(trust, other_key)
        await asyncio.sleep(0.25)
        assert await believed(trust, other_key)


async def test_a_key_that_is_published_no_more_is_believed_no_more(flowauth, settings, signing_key, other_key):
    """A withdrawn key's tokens end at the next reading, also where PUBLIC_JWT_SIGNING_KEY still names it."""
    flowauth.publish(signing_key, other_key)
    pem = public_pem(signing_key.public_key()).decode()
    trust = Trust(settings(public_jwt_signing_key=pem))
    async with trust.kept_in_step():
        assert await believed(trust, signing_key)
        flowauth.publish(other_key)
        await trust.refresh()
        assert not await believed(trust, signing_key)


@pytest.mark.parametrize(
    "answer",
    [
        (500, b"", {}),
        (302, b"", {"Location": "/elsewhere"}),
        (200, b"<html>", {}),
        (200, b"[]", {}),
        (200, b'{"keys": []}', {}),
        (200, b'{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}', {}),
        (200, b"[" * 100_000, {}),
        (200, b" " * 300_000, {}),
    ],
    ids=lambda answer: f"{answer[0]} {answer[1][:20]!r}",
)
async def test_what_is_no_key_set_changes_nothing(flowauth, settings, signing_key, other_key, answer):
    """After a bad answer the last good keys count, the problem is told, and it is gone with the next good answer."""
    flowauth.publish(signing_key)
    flowauth.answers["/elsewhere"] = (200, key_set(other_key), {})
    trust = Trust(settings())
    async with trust.kept_in_step():
        flowauth.answers["/.well-known/jwks.json"] = answer
        await trust.refresh()
        assert await believed(trust, signing_key)
        assert not await believed(trust, other_key)
        problem = trust.status()["key_set"]["problem"]
        assert problem.endswith(".")
        assert "127.0.0.1" not in problem
        flowauth.publish(signing_key)
        await trust.refresh()
        assert trust.status()["key_set"]["problem"] is None


def test_a_private_key_in_the_set_is_refused(signing_key):
    """A set that gives a private key away is not taken, and the sentence says what to do."""
    from jwt.algorithms import RSAAlgorithm

    with pytest.raises(ValueError, match="private key"):
        read_key_set(json.dumps({"keys": [json.loads(RSAAlgorithm.to_jwk(signing_key))]}))


def test_keys_for_other_uses_are_left_out(signing_key, other_key):
    """Keys to encrypt with, of other kinds and algorithms are not believed."""
    told = json.loads(key_set(signing_key, other_key))["keys"]
    told[1]["use"] = "enc"
    strange = [{"kty": "EC", "crv": "P-256", "x": "a", "y": "b"}, {"kty": "oct", "k": "c2VjcmV0"}]
    keys = read_key_set(json.dumps({"keys": [*told, *strange]}))
    assert keys == [signing_key.public_key()]


async def test_the_keys_outlive_a_restart(flowauth, settings, signing_key, other_key):
    """A FlowAPI that starts while FlowAuth is away believes the keys that it had, in a file for it alone."""
    flowauth.publish(other_key)
    async with Trust(settings()).kept_in_step():
        pass
    flowauth.fail(503)
    trust = Trust(settings(public_jwt_signing_key=public_pem(signing_key.public_key()).decode()))
    async with trust.kept_in_step():
        assert await believed(trust, other_key)
        assert not await believed(trust, signing_key)
    kept = settings().flowapi_state / "TEST_SERVER.json"
    assert kept.stat().st_mode & 0o077 == 0
    assert kept.parent.stat().st_mode & 0o077 == 0


async def test_keys_that_were_kept_are_of_their_address(flowauth, settings, other_key):
    """Keys that came from another address than the one that is set now do not count."""
    flowauth.publish(other_key)
    async with Trust(settings()).kept_in_step():
        pass
    trust = Trust(settings(flowapi_key_set=flowauth.url + "/other"))
    assert trust.keys == []


async def test_the_public_key_counts_until_a_set_was_read(flowauth, settings, signing_key, other_key):
    """Before the first key set, PUBLIC_JWT_SIGNING_KEY counts."""
    flowauth.fail()
    trust = Trust(settings(public_jwt_signing_key=public_pem(signing_key.public_key()).decode()))
    async with trust.kept_in_step():
        assert await believed(trust, signing_key)
        flowauth.publish(other_key)
        await trust.refresh()
        assert not await believed(trust, signing_key)
        assert await believed(trust, other_key)


async def test_a_damaged_state_is_left_aside(flowauth, settings, other_key):
    """A state file that is no such thing does not hinder the start."""
    path = settings().flowapi_state / "TEST_SERVER.json"
    path.parent.mkdir()
    flowauth.publish(other_key)
    for damaged in ("", "[]", "[" * 100_000, '{"key_set": {"place": 1}}', '{"key_set": {"text": {}}}', "\x00"):
        path.write_text(damaged)
        trust = Trust(settings())
        async with trust.kept_in_step():
            assert await believed(trust, other_key)


async def test_a_state_that_cannot_be_kept_is_told(flowauth, settings, other_key, tmp_path):
    """Where the folder cannot be written FlowAPI goes on, and its health says so."""
    flowauth.publish(other_key)
    (tmp_path / "file").write_text("")
    trust = Trust(settings(flowapi_state=tmp_path / "file" / "state"))
    async with trust.kept_in_step():
        assert await believed(trust, other_key)
        assert "FLOWAPI_STATE" in trust.status()["unkept"]


async def test_a_server_that_sends_without_end_is_left(settings, monkeypatch, signing_key):
    """A FlowAuth that sends a byte now and then is not waited for."""
    monkeypatch.setattr(revocations, "PATIENCE", 0.3)

    async def drip(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        try:
            for _ in range(100):
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            pass
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pem = public_pem(signing_key.public_key()).decode()
    trust = Trust(settings(flowapi_key_set=f"http://127.0.0.1:{port}/keys", public_jwt_signing_key=pem))
    began = time.monotonic()
    async with trust.kept_in_step():
        assert time.monotonic() - began < 2
        assert "seconds" in trust.status()["key_set"]["problem"]
    server.close()


def test_a_file_of_keys_is_read_anew(start_flowapi, fake, signing_key, other_key, tmp_path):
    """Without a connection to FlowAuth the key set is a file; what is put in its place is taken over."""
    file = tmp_path / "keys.json"
    file.write_bytes(key_set(signing_key))
    running = start_flowapi(
        FLOWMACHINE_PORT=fake.port,
        PUBLIC_JWT_SIGNING_KEY=None,
        FLOWAPI_KEY_SET=file,
        FLOWAPI_STATE=tmp_path / "state",
        FLOWAPI_REFRESH_SECONDS=1,
    )
    roles = {"r": ["get_available_dates"]}

    def status(key):
        bearer = {"Authorization": f"Bearer {token_of(key, roles=roles)}"}
        return httpx.get(f"{running.url}/api/0/available_dates", headers=bearer, timeout=10).status_code

    assert (status(signing_key), status(other_key)) == (200, 422)
    file.write_bytes(key_set(other_key))
    deadline = time.monotonic() + 10
    while status(signing_key) != 422 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (status(signing_key), status(other_key)) == (422, 200)
    health = httpx.get(f"{running.url}/api/0/health", timeout=10).json()
    assert health["tokens"]["keys"] == 1
    assert health["tokens"]["key_set"]["problem"] is None


def test_without_any_key_no_token_is_taken(start_flowapi, fake, flowauth, signing_key, tmp_path):
    """Where the key set never came, requests and health are 503 and say so; the first set opens the door."""
    flowauth.fail()
    running = start_flowapi(
        FLOWMACHINE_PORT=fake.port,
        PUBLIC_JWT_SIGNING_KEY=None,
        FLOWAPI_KEY_SET=flowauth.keys_url,
        FLOWAPI_STATE=tmp_path / "state",
        FLOWAPI_REFRESH_SECONDS=1,
    )
    bearer = {"Authorization": f"Bearer {token_of(signing_key, roles={'r': ['get_available_dates']})}"}
    for path in ("/api/0/available_dates", "/api/0/health"):
        answer = httpx.get(running.url + path, headers=bearer, timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (503, "keys_absent")
    assert 'flowapi_document_problem{document="key_set"} 1.0' in httpx.get(f"{running.url}/metrics").text
    assert "The key set of" in running.stderr_path.read_text()
    flowauth.publish(signing_key)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        answer = httpx.get(f"{running.url}/api/0/available_dates", headers=bearer, timeout=10)
        if answer.status_code == 200:
            break
        time.sleep(0.1)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"flowapi_key_set": "http://auth.example.org/keys"}, "plain HTTP"),
        ({"flowapi_key_set": "https://user:secret@auth.example.org/keys"}, "not an address"),
        ({"flowapi_key_set": "https:///keys"}, "not an address"),
        ({"flowapi_key_set": None}, "Field required"),
        ({"flowapi_revocations_max_age": 60}, "needs FLOWAPI_REVOCATIONS"),
        (
            {"flowapi_revocations": "https://auth.example.org/revocations/x", "flowapi_revocations_max_age": 60},
            "must be more than FLOWAPI_REFRESH_SECONDS",
        ),
    ],
)
def test_settings_that_cannot_be_safe_are_refused(settings, monkeypatch, changes, said):
    """Keys by plain HTTP, no key at all, and a list that is always too old stop the start with a sentence."""
    monkeypatch.delenv("PUBLIC_JWT_SIGNING_KEY", raising=False)
    with pytest.raises(ValidationError, match=said):
        settings(**changes)


async def test_a_revocation_list_is_no_token(flowauth, settings, signing_key):
    """A list that a believed key has signed opens no door, even where it has all that a token has."""
    flowauth.publish(signing_key)
    from flowkit_jwt_generator import compress_claims

    forged = signed_list(signing_key, sub="ann", exp=NOW + 3600, user_claims=compress_claims({"r": ["run"]}))
    trust = Trust(settings())
    async with trust.kept_in_step():
        with pytest.raises(TokenError) as refused:
            await trust.verify(forged)
        assert refused.value.code == "token_type"


FLOWAUTH = """
import sys, uvicorn
from flowauth.app import create_app
from flowauth.settings import Settings
uvicorn.run(create_app(Settings()), host="127.0.0.1", port=int(sys.argv[1]), log_level="error", lifespan="on")
"""


@pytest.fixture
def real_flowauth(tmp_path, free_port):
    """A FlowAuth process; the test administers it through its database."""
    from cryptography.fernet import Fernet

    from flowauth.database import Database
    from flowauth.services import keys
    from flowauth.settings import Settings as FlowAuthSettings
    from flowkit_jwt_generator import generate_keypair

    told = {
        "private_jwt_signing_key": generate_keypair()[0].decode(),
        "flowauth_fernet_key": Fernet.generate_key().decode(),
        "secret_key": "a secret of tests that is long enough",
        "db_uri": f"sqlite:///{tmp_path / 'flowauth.db'}",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLOWAUTH", "COV_"))}
    environment = {**kept, **{name.upper(): value for name, value in told.items()}}
    process = subprocess.Popen([sys.executable, "-c", FLOWAUTH, str(free_port)], env=environment)
    url = f"http://127.0.0.1:{free_port}"
    try:
        wait_until(lambda: answers(f"{url}/health"), 40)
        database = Database(FlowAuthSettings(**told).db_uri)
        yield url, database, keys.Vault(told["flowauth_fernet_key"])
        database.close()
    finally:
        process.terminate()
        process.wait(15)


def wait_until(true, seconds=15):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def answers(url):
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.takes_long("waits for keys that are fetched again")
def test_keys_change_without_a_gap(real_flowauth, start_flowapi, fake, tmp_path):
    """A key is announced, fetched, signs; old tokens live on beside new ones, until their key is withdrawn."""
    from flowauth.services import keys, people, roles, servers, tokens
    from flowauth.services.limits import Limits

    url, database, vault = real_flowauth
    with database.write() as session:
        document = servers.Document("TEST_SERVER", frozenset({"get_available_dates"}))
        server = servers.create(session, "ada", document, Limits(None, 1440))
        ann = people.create(session, "ada", "ann", "crumpet-Tundra-49-violin")
        session.flush()
        all_scopes = frozenset(scope.id for scope in server.scopes)
        wanted = roles.Definition("viewer", all_scopes, frozenset({ann.id}), Limits(None, 600))
        roles.create(session, "ada", server, wanted)
        ann_id, server_id = ann.id, server.id
    running = start_flowapi(
        FLOWMACHINE_PORT=fake.port,
        PUBLIC_JWT_SIGNING_KEY=None,
        FLOWAPI_KEY_SET=f"{url}/.well-known/jwks.json",
        FLOWAPI_REVOCATIONS=f"{url}/revocations/TEST_SERVER",
        FLOWAPI_REVOCATIONS_MAX_AGE=60,
        FLOWAPI_STATE=tmp_path / "state",
        FLOWAPI_REFRESH_SECONDS=1,
    )

    def issue():
        with database.write() as session:
            user, there = people.find(session, ann_id), servers.find(session, server_id)
            held = tokens.roles_of(session, user, there)
            issued = tokens.issue(session, vault, user, there, held, name="report")
            return issued.text, issued.token.kid, issued.token.id

    def ask(token):
        bearer = {"Authorization": f"Bearer {token[0]}"}
        answer = httpx.get(f"{running.url}/api/0/available_dates", headers=bearer, timeout=10)
        return answer.json().get("code", 200)

    def held():
        return httpx.get(f"{running.url}/api/0/health", timeout=10).json()["tokens"]["keys"]

    old = issue()
    assert (ask(old), held()) == (200, 1)

    with database.write() as session:
        signs_from = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=10)
        new_kid = keys.announce(session, keys.make(vault), "ada", signs_from).kid
    wait_until(lambda: held() == 2)
    assert datetime.datetime.now(datetime.UTC) < signs_from
    between = issue()
    assert between[1] == old[1]
    while datetime.datetime.now(datetime.UTC) < signs_from:
        assert ask(old) == 200
        time.sleep(0.2)
    new = issue()
    assert new[1] == new_kid
    assert (ask(new), ask(old), ask(between)) == (200, 200, 200)

    with database.write() as session:
        assert keys.withdraw(session, "ada", old[1]) == 2
    wait_until(lambda: ask(old) in ("token_signature", "token_revoked") and ask(between) != 200)
    wait_until(lambda: held() == 1)
    assert (ask(new), ask(old)) == (200, "token_signature")

    with database.write() as session:
        tokens.revoke(session, "ada", tokens.find(session, new[2], None), "a test")
    wait_until(lambda: ask(new) == "token_revoked")
    assert ask(issue()) == 200
