"""Every route of the API's description with what nobody should send, before a real server: only our words answer."""

import copy
import json
import random
import re
from urllib.parse import quote

import httpx
import pytest
from tests.flowmachine_server.living_server import ServerProcess, make_lake

from flowmachine.catalogue import catalogue

EXAMPLES = [kind["example"] for kind in catalogue()["kinds"]]
ROUNDS = 8
"""How often each route but `run` is called, by each caller."""
SPECS = 200
"""How many specs are sent to `run`."""
TEXTS = (
    "", " ", "a", ".", "..", "é", "\u2028", "\0", "%", "a" * 3000, "a/b", "0" * 32, "f" * 32, "admin3", "calls", "json",
    "xlsx", "2016-01-01", "2016-13-01", "9999-12-31", "0000-00-00", "-1", "'; DROP TABLE cells; --", "__class__",
    "POLYGON((0 0", "<b>", "{}", "nonspatial", "lon-lat", "daily_location", "🙂",
)  # fmt: skip
VALUES = (
    None, True, False, 0, -1, 1e308, 2**70, 0.1, [], {}, [[]], [None], {"query_kind": 1}, {"query_kind": "a"},
    ["2016-01-01", 1], {"": ""}, *TEXTS,
)  # fmt: skip
BODIES = (
    b"", b"{", b"[]", b"null", b"1", b'"a"', b"\xff\xfe", b"{'query_kind': 1}", b'{"query_kind": 1}', b"[" * 100_000,
    b'{"query_kind": "flows",}', b'{"query_kind": "flows"} {}', b'{"query_kind": "\\ud800"}', b'{"query_kind": "\n"}',
    b'{"query_kind": "flows", "n": ' + b"9" * 5000 + b"}", b'{"query_kind": "flows", "n": NaN}',
    b'{"query_kind": "\\x"}',
    b'{"query_kind": "daily_location", "n": 1e999}', b'{"query_kind": "geography", "aggregation_unit": 1e999}',
    "{}".encode("utf-16"), b"\xef\xbb\xbf{}", b"a=b&c=d", b"{" * 70_000, b" " * 2_000_000,
)  # fmt: skip
TOKENS = (
    "a", "a.b.c", "..", "Bearer", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJSUzI1NiJ9.e30.AAAA", "\u00e9".encode(),
    "eyJhbGciOiJSUzI1NiJ9.W10.AAAA", "bnVsbA.bnVsbA.bnVsbA", "e30." * 2000,
)  # fmt: skip
NOT_OURS = re.compile(
    r"Traceback|Error\b|Exception|pydantic|[Ss]tarlette|<class|object (has|is)|not (subscriptable|hashable|iterable)|"
    r"unhashable|Expecting|Extra data|line \d+ column|\(char \d+|codec|Input should|validation error|sys\.|int\(\)|"
    r"unexpected keyword|positional argument|Invalid (control|\\\\?escape)|\bNone\b|0x[0-9a-f]"
)
"""Marks of texts that a library or Python wrote."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A FlowMachine server over a small lake."""
    folder = tmp_path_factory.mktemp("fuzzed")
    server = ServerProcess(folder / "server", make_lake(folder / "lake").path).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def api(start_flowapi, server):
    """FlowAPI before that server."""
    running = start_flowapi(FLOWMACHINE_PORT=server.port)
    with httpx.Client(base_url=running.url, timeout=30, trust_env=False) as client:
        client.running = running
        yield client


@pytest.fixture(scope="module")
def document(api):
    return api.get("/api/0/spec/openapi.json").json()


@pytest.fixture(scope="module")
def callers(document, make_token):
    """The headers of one who may do everything, of one who may do nothing, and of nobody."""
    everything = document["components"]["securitySchemes"]["token"]["x-security-scopes"]
    tokens = (make_token({"all": everything}), make_token({"all": []}))
    return [*({"Authorization": f"Bearer {token}"} for token in tokens), {}]


def problem(answer, described, sent):
    """What is wrong with an answer; None if it is one of those that are described, in words of ours."""
    if str(answer.status_code) not in described:
        return f"{answer.status_code} is not described: {answer.text[:300]}"
    if answer.status_code < 400:
        return None
    if answer.headers["Content-Type"] != "application/json":
        return f"{answer.status_code} in {answer.headers['Content-Type']}"
    body = answer.json()
    if not {"msg", "status", "code", "request_id"} <= set(body) or not all(
        isinstance(body[name], str) for name in ("msg", "status", "code", "request_id")
    ):
        return f"not in the one form: {body}"
    # What the caller sent is quoted, and may be anything.
    words = re.sub(r"'[^']*'|\"[^\"]*\"", "''", body["msg"])
    if foreign := NOT_OURS.search(words):
        return f"{foreign[0]!r} in {body['msg'][:400]}"
    if not FLOWKITS.fullmatch(body["msg"]) and not body["msg"].rstrip("'\"").endswith((".", "!", "?")):
        return f"no sentence: {body['msg'][-200:]!r} ({body['code']})"
    if body["code"] in ("internal_error", "backend_answer_unreadable") or answer.status_code == 500:
        return f"a defect: {body}, {sent}"
    return None


FLOWKITS = re.compile(
    "Missing Authorization Header|Bad Authorization header. Expected value 'Bearer <JWT>'|Not enough segments|"
    r"Token has expired|Audience doesn't match|Missing claim: \w+|Signature verification failed"
)
"""Refusals in FlowKit's words, which programs know."""


def routes(document):
    """Method, path template and description of the answers of each route."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield method.upper(), path, operation["responses"]


def mutated(draw, spec):
    """A spec with one to three changes anywhere in it."""
    changed = copy.deepcopy(spec)
    for _ in range(draw.choice((1, 1, 2, 3))):
        places = [(changed, key) for key in changed]
        for holder, key in places:
            inner = holder[key]
            steps = inner if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else ()
            places.extend((inner, step) for step in steps)
        holder, key = draw.choice(places)
        match draw.randrange(4):
            case 0 if isinstance(holder, dict):
                del holder[key]
                if not changed:
                    return changed
            case 1 if isinstance(holder, dict):
                holder[draw.choice(TEXTS)] = draw.choice(VALUES)
            case 2:
                holder[key] = copy.deepcopy(draw.choice(EXAMPLES))
            case _:
                holder[key] = copy.deepcopy(draw.choice(VALUES))
    return changed


def test_only_our_words_answer_at_every_route(api, document, callers):
    """Whatever stands in the path, the parameters and the token, an answer is a described one, in a sentence."""
    draw = random.Random(3)
    wrong = []
    for method, template, described in routes(document):
        strangers = [{"Authorization": b"Bearer " + _bytes(token)} for token in TOKENS if template.endswith("dates")]
        for caller in (*callers, *strangers):
            for _ in range(ROUNDS if "{" in template and caller in callers else 1):
                path = re.sub(r"\{\w+\}", lambda _: quote(draw.choice(TEXTS), safe="") or "x", template)
                query = {name: draw.choice(TEXTS) for name in ("start_date", "end_date") if draw.random() < 0.7}
                answer = api.request(method, path, params=query, headers=caller, content=draw.choice((None, b"{}")))
                # A slash or a missing part may make another path of it.
                if (reason := problem(answer, {**described, "404": {}, "405": {}}, path)) is not None:
                    wrong.append((method, path[:80], reason))
    assert not wrong, "\n".join(sorted({str(each) for each in wrong})[:60])


def test_only_our_words_answer_to_a_spec(api, document, callers):
    """Whatever is sent as a query, by whoever, an answer is a described one, in a sentence."""
    draw = random.Random(5)
    described = document["paths"]["/api/0/run"]["post"]["responses"]
    wrong = []
    bodies = [(body, caller) for body in BODIES for caller in callers]
    for _ in range(SPECS):
        spec = mutated(draw, draw.choice(EXAMPLES))
        bodies.append((json.dumps(spec).encode(), draw.choice((callers[0], callers[0], callers[0], callers[1]))))
    for body, caller in bodies:
        answer = api.post("/api/0/run", content=body, headers=caller)
        if (reason := problem(answer, described, body[:300])) is not None:
            wrong.append((body[:300], reason))
    assert not wrong, "\n".join(sorted({str(each) for each in wrong})[:60])
    assert "Traceback" not in api.running.stderr_path.read_text()


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode()
