import datetime
import json
import time

import httpx
import jwt
import pytest
from tests.flowapi.flowauth_stand_in import key_set, signed_list

from flowapi.revocations import RevokedError, Trust, UntrustedError
from flowapi.settings import Settings
from flowkit_jwt_generator import generate_token
from flowkit_jwt_generator.keys import public_pem

NOW = int(datetime.datetime.now(datetime.UTC).timestamp())
PATH = "/api/0/available_dates"


@pytest.fixture
def settings(flowauth, tmp_path, signing_key):
    def make(**changes):
        told = {
            "flowapi_identifier": "TEST_SERVER",
            "public_jwt_signing_key": public_pem(signing_key.public_key()).decode(),
            "flowapi_revocations": flowauth.list_url,
            "flowapi_state": tmp_path / "state",
            **changes,
        }
        return Settings(**told)

    return make


@pytest.fixture(scope="module")
def token(signing_key):
    """A token, and its jti."""
    made = generate_token(
        flowapi_identifier="TEST_SERVER",
        username="ann",
        private_key=signing_key,
        lifetime=datetime.timedelta(hours=1),
        roles={"r": ["get_available_dates"]},
    )
    return made, jwt.decode(made, options={"verify_signature": False})["jti"]


async def revoked(trust, token):
    try:
        await trust.verify(token[0])
    except RevokedError:
        return True
    return False


async def test_a_revoked_token_is_refused_from_the_next_reading_on(flowauth, settings, signing_key, token):
    """A token works until the list names it, and other tokens go on working."""
    flowauth.revoke(signing_key)
    trust = Trust(settings())
    async with trust.kept_in_step():
        assert not await revoked(trust, token)
        flowauth.revoke(signing_key, "another", token[1])
        await trust.refresh()
        assert await revoked(trust, token)
        assert trust.status()["revocations"]["revoked"] == 2
        assert trust.revocations_age() < 10


BAD = {
    "of another server": lambda key, other, jti: signed_list(key, jti, aud="OTHER_SERVER"),
    "of several servers": lambda key, other, jti: signed_list(key, jti, aud=["TEST_SERVER", "OTHER_SERVER"]),
    "of no server": lambda key, other, jti: signed_list(key, jti, aud=None),
    "signed by a stranger": lambda key, other, jti: signed_list(other, jti),
    "not signed": lambda key, other, jti: jwt.encode(
        {"aud": "TEST_SERVER", "iat": NOW, "revoked": {jti: NOW + 60}}, None, "none", {"typ": "revocations+jwt"}
    ),
    "signed with the public key as a secret": lambda key, other, jti: jwt.encode(
        {"aud": "TEST_SERVER", "iat": NOW, "revoked": {jti: NOW + 60}}, "x" * 40, "HS256", {"typ": "revocations+jwt"}
    ),
    "a token": lambda key, other, jti: signed_list(key, jti, typ="JWT"),
    "without a type": lambda key, other, jti: signed_list(key, jti, typ=None),
    "of the future": lambda key, other, jti: signed_list(key, jti, iat=NOW + 3600),
    "older than the one held": lambda key, other, jti: signed_list(key, jti, iat=NOW - 3600),
    "without its moment": lambda key, other, jti: signed_list(key, jti, iat=None),
    "with a moment that is none": lambda key, other, jti: signed_list(key, jti, iat="now"),
    "without a list": lambda key, other, jti: signed_list(key, revoked=None),
    "with a list of names": lambda key, other, jti: signed_list(key, revoked=[jti]),
    "with expiries that are none": lambda key, other, jti: signed_list(key, revoked={jti: "soon"}),
    "with an expiry beyond the calendar": lambda key, other, jti: signed_list(key, revoked={jti: 1e300}),
    "no JWS": lambda key, other, jti: "<html>",
    "not ASCII": lambda key, other, jti: "é",
    "empty": lambda key, other, jti: "",
    "too large": lambda key, other, jti: "a" * 20_000_001,
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
async def test_a_bad_list_changes_nothing(flowauth, settings, signing_key, other_key, token, bad):
    """A list that is not FlowAuth's newest for this server is not taken: the last good one stays, and it is told."""
    held = generate_token(
        flowapi_identifier="TEST_SERVER", username="bob", private_key=signing_key,
        lifetime=datetime.timedelta(hours=1), roles={},
    )  # fmt: skip
    held = held, jwt.decode(held, options={"verify_signature": False})["jti"]
    flowauth.revoke(signing_key, held[1])
    trust = Trust(settings())
    async with trust.kept_in_step():
        assert await revoked(trust, held)
        flowauth.answers["/revocations/TEST_SERVER"] = (200, bad(signing_key, other_key, token[1]).encode(), {})
        await trust.refresh()
        assert not await revoked(trust, token)
        assert await revoked(trust, held)
        assert trust.status()["revocations"]["problem"]
        flowauth.revoke(signing_key, token[1])
        await trust.refresh()
        assert await revoked(trust, token)
        assert trust.status()["revocations"]["problem"] is None


async def test_a_list_within_the_same_second_is_taken(flowauth, settings, signing_key, token):
    """What is revoked in the second in which the last list was signed is not missed."""
    flowauth.revoke(signing_key, iat=NOW)
    trust = Trust(settings())
    async with trust.kept_in_step():
        flowauth.revoke(signing_key, token[1], iat=NOW)
        await trust.refresh()
        assert await revoked(trust, token)


async def test_a_revoked_token_does_not_come_back(flowauth, settings, signing_key, token):
    """What was revoked stays so until it expires, where FlowAuth's database was restored from before."""
    flowauth.revoke(signing_key, token[1], revoked={token[1]: NOW + 3600, "long gone": NOW - 60})
    trust = Trust(settings())
    async with trust.kept_in_step():
        flowauth.revoke(signing_key)
        await trust.refresh()
        assert await revoked(trust, token)
        assert trust.status()["revocations"]["revoked"] == 1


@pytest.mark.parametrize("status", [404, 500, 503, 301])
async def test_the_list_outlives_a_restart_while_flowauth_is_away(flowauth, settings, signing_key, token, status):
    """FlowAPI starts without FlowAuth and still refuses what was revoked; it takes no older list after the restart."""
    flowauth.revoke(signing_key, token[1])
    async with Trust(settings()).kept_in_step():
        pass
    flowauth.fail(status, Location="http://127.0.0.1:9/")
    trust = Trust(settings())
    async with trust.kept_in_step():
        assert await revoked(trust, token)
        unknown = "FlowAuth has no server of this name; add it there."
        told = unknown if status == 404 else f"FlowAuth answered {status}."
        assert trust.status()["revocations"]["problem"] == told
        flowauth.revoke(signing_key, iat=NOW - 3600)
        await trust.refresh()
        assert "before the current one" in trust.status()["revocations"]["problem"]


async def test_the_list_of_a_withdrawn_key_outlives_a_restart(flowauth, settings, signing_key, other_key, token):
    """Where the key that signed the last list is withdrawn, and FlowAPI starts again, nothing comes back to life."""
    flowauth.publish(signing_key, other_key)
    flowauth.revoke(other_key, token[1])
    changes = {"flowapi_key_set": flowauth.keys_url, "public_jwt_signing_key": None}
    async with Trust(settings(**changes)).kept_in_step():
        flowauth.publish(signing_key)
    trust = Trust(settings(**changes))
    async with trust.kept_in_step():
        assert len(trust.keys) == 1
        assert "Signature verification failed" in trust.status()["revocations"]["problem"]
        assert await revoked(trust, token)


async def test_the_newest_key_signs_the_list(flowauth, settings, signing_key, other_key, token):
    """A list that is signed by a key that came just now is taken at the same reading."""
    flowauth.publish(signing_key)
    flowauth.revoke(signing_key)
    trust = Trust(settings(flowapi_key_set=flowauth.keys_url))
    async with trust.kept_in_step():
        flowauth.publish(signing_key, other_key)
        flowauth.revoke(other_key, token[1])
        await trust.refresh()
        assert await revoked(trust, token)


async def test_a_list_that_is_too_old_closes_the_door(flowauth, settings, signing_key, token):
    """Where a greatest age is set, no token is taken without a list or with an old one."""
    flowauth.fail()
    trust = Trust(settings(flowapi_revocations_max_age=120))
    async with trust.kept_in_step():
        with pytest.raises(UntrustedError) as refused:
            await trust.verify(token[0])
        assert refused.value.code == "revocations_stale"
        flowauth.revoke(signing_key, iat=NOW - 200)
        await trust.refresh()
        with pytest.raises(UntrustedError):
            await trust.verify(token[0])
        flowauth.revoke(signing_key)
        await trust.refresh()
        assert (await trust.verify(token[0])).subject == "ann"


async def test_an_old_list_counts_where_no_age_is_set(flowauth, settings, signing_key, token):
    """As FlowAPI is set up by itself, the last list counts however old it is."""
    flowauth.revoke(signing_key, iat=NOW - 100_000_000)
    trust = Trust(settings())
    async with trust.kept_in_step():
        assert (await trust.verify(token[0])).subject == "ann"


def test_a_revoked_token_over_http(start_flowapi, fake, flowauth, signing_key, token, tmp_path):
    """The answer is 401 token_revoked in a sentence; the audit record has REVOKED_TOKEN with the token's jti."""
    flowauth.revoke(signing_key)
    running = start_flowapi(
        FLOWMACHINE_PORT=fake.port,
        FLOWAPI_REVOCATIONS=flowauth.list_url,
        FLOWAPI_STATE=tmp_path / "state",
        FLOWAPI_REFRESH_SECONDS=1,
    )

    def ask(path=PATH):
        return httpx.get(running.url + path, headers={"Authorization": f"Bearer {token[0]}"}, timeout=10)

    assert ask().status_code == 200
    flowauth.revoke(signing_key, token[1])
    deadline = time.monotonic() + 10
    while (answer := ask()).status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_revoked")
    assert answer.json()["msg"] == "This token was revoked; make a new one in FlowAuth."
    lines = running.lines(answer.headers["X-Request-ID"])
    told = next(line for line in lines if line["event"] == "REVOKED_TOKEN")
    assert told["json_payload"]["jti"] == token[1]
    assert told["request"]["user"] == "ann"
    whole = next(line for line in lines if line["event"] == "request")
    assert (whole["token_id"], whole["code"], whole["status"]) == (token[1], "token_revoked", 401)
    assert token[0] not in running.stdout_path.read_text()
    health = ask("/api/0/health").json()["tokens"]["revocations"]
    assert (health["revoked"], health["problem"]) == (1, None)
    page = ask("/metrics").text
    assert "flowapi_revoked_tokens 1.0" in page
    assert 'flowapi_document_problem{document="revocations"} 0.0' in page
    flowauth.fail()
    while ask("/api/0/health").json()["tokens"]["revocations"]["problem"] is None and time.monotonic() < deadline:
        time.sleep(0.1)
    health = ask("/api/0/health").json()["tokens"]["revocations"]
    assert health["problem"] == "FlowAuth answered 500."
    assert ask().status_code == 401
    assert "revocation list of" in running.stderr_path.read_text()


def test_a_list_from_a_file(start_flowapi, fake, signing_key, token, tmp_path):
    """Without a connection to FlowAuth the list is carried over as a file; a missing file is told, and not fatal."""
    file = tmp_path / "list.jwt"
    running = start_flowapi(
        FLOWMACHINE_PORT=fake.port,
        FLOWAPI_REVOCATIONS=file,
        FLOWAPI_STATE=tmp_path / "state",
        FLOWAPI_REFRESH_SECONDS=1,
    )

    def ask(path=PATH):
        return httpx.get(running.url + path, headers={"Authorization": f"Bearer {token[0]}"}, timeout=10)

    assert ask().status_code == 200
    problem = ask("/api/0/health").json()["tokens"]["revocations"]["problem"]
    assert problem == "The file cannot be read (No such file or directory)."
    file.write_text(signed_list(signing_key, token[1]) + "\n")
    deadline = time.monotonic() + 10
    while ask().status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ask().json()["code"] == "token_revoked"


def test_what_is_kept_holds_no_token(flowauth, settings, signing_key, token):
    """The state on disk names revoked tokens by their jti, with the public keys alone."""
    import asyncio

    flowauth.publish(signing_key)
    flowauth.revoke(signing_key, token[1])

    async def once():
        async with Trust(settings(flowapi_key_set=flowauth.keys_url)).kept_in_step():
            pass

    asyncio.run(once())
    text = (settings().flowapi_state / "TEST_SERVER.json").read_text()
    told = json.loads(text)
    assert list(told["revocations"]["said"]["revoked"]) == [token[1]]
    assert json.loads(told["key_set"]["text"]) == json.loads(key_set(signing_key))
    assert '"d"' not in text
