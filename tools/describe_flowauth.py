"""Write the page of FlowAuth's JSON API from the API's own description (OpenAPI)."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from fastapi import FastAPI

from flowauth import api

GROUPS = {
    "sign-in": "Signing in",
    "account": "One's own account",
    "tokens": "Tokens",
    "users": "People",
    "servers": "Servers",
    "roles": "Roles",
    "keys": "Keys",
    "overview": "Overview and audit log",
}
WIDTH = 90
"""The longest object that stands on one line."""
INTRODUCED = """\
Everything that the pages do can be done by script. A running FlowAuth describes the same at `/openapi.json`, and for
people at `/redoc`. The routes that FlowKit has keep its names, fields and answers;
[what differs](differences-from-flowkit.md#flowauth) is a separate list.

## The rules

- `POST /signin` signs in, and sets two cookies. Every request after it carries them; every `POST`, `PATCH` and `DELETE`
  also carries the value of the cookie `X-CSRF` in the header `X-CSRF-Token`. An answer may set both again, as when a
  `password` or `your_password` was sent and right, whatever else is refused; those of before are refused then. Keep the
  cookies in a jar, read `X-CSRF` for each write, and send nothing beside such a request.
- What is sent is JSON with `Content-Type: application/json`. A field that is not named below is refused, and so is a
  number in quotes: nothing is guessed.
- What is refused is `{"message", "code", "bad_field"?}`, and the code is the status: 400 for what cannot be done as it
  stands, 401 where nobody is signed in (and, on FlowKit's routes, for who may not), 403 for who may not, 404 for what
  is not there or not for you, 413 for what is too large, 429 for too many attempts, with `Retry-After` in seconds.
- A moment is sent and answered as `2027-01-31T00:00:00.000000Z`, with its zone. An HTTP date, which FlowKit answers
  here and there, is `Sun, 31 Jan 2027 00:00:00 GMT`.
- Lists take `limit` and `offset`.
- Below, `?` after a name means that it may be left out, and `or null` that it may be null.

## A script that renews a token

It signs in, renews its latest token, or makes the first, and writes it into a file that its owner alone can read. Run
it nightly; what uses the token reads the file. The old one lives on until its end. An account with two-factor needs a
code as `two_factor_code`, so give scripts one of their own, without two-factor and with few roles.

```python
import os
from pathlib import Path

import httpx

flowauth = httpx.Client(base_url=os.environ["FLOWAUTH_URL"])


def call(method, path, **sent):
    answer = flowauth.request(method, path, **sent)
    if answer.is_error:
        raise SystemExit(f"{path}: {answer.json()['message']}")
    flowauth.headers["X-CSRF-Token"] = flowauth.cookies["X-CSRF"]
    return answer.json()


call("POST", "/signin", json={"username": os.environ["ME"], "password": os.environ["MY_PASSWORD"]})

server = call("GET", "/tokens/servers")[0]
mine = call("GET", f"/tokens/tokens/{server['id']}")
if mine:
    given = call("POST", f"/tokens/tokens/{mine[-1]['id']}/renew", json={})
else:
    roles = [{"name": role["name"]} for role in call("GET", f"/user/roles/server/{server['id']}")]
    given = call("POST", f"/tokens/tokens/{server['id']}", json={"name": "nightly", "roles": roles})

file = Path("token.txt")
file.touch(mode=0o600)
file.write_text(given["token"])
print(f"A token for {server['server_name']} until {given['expires']}.", given["warning"] or "")
```

## What anybody may fetch

| Route | Answers |
|---|---|
| `GET /health` | `{"status": "ok"}` where FlowAuth can read its database |
| `GET /.well-known/jwks.json` | the public keys that tokens are signed with, as a JSON Web Key Set (RFC 7517) |
| `GET /revocations/{name}` | a server's tokens that ended before their time, as a signed JWT: `aud`, `iat`, `revoked` |
"""


def page(written: str) -> str:
    """The page: how to ask, a script, and each route with what it is sent and what it answers."""
    app = FastAPI()
    app.include_router(api.router)
    app.state.settings = SimpleNamespace(secure=True)
    described = api.describe(app)
    schemas = described["components"]["schemas"]
    lines = ["# FlowAuth by script", "", written, "", INTRODUCED.rstrip(), ""]
    for group, title in GROUPS.items():
        lines += [f"## {title}", ""]
        for path, methods in described["paths"].items():
            for method, operation in methods.items():
                if operation["tags"] == [group]:
                    lines += _route(f"{method.upper()} {path}", operation, schemas)
    return "\n".join(lines)


def _route(name: str, operation: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    yield operation["description"]
    yield ""
    queries = [each for each in operation.get("parameters", []) if each["in"] == "query"]
    if queries:
        for each in queries:
            meaning = each.get("description", "").strip()
            kind = _kind(each["schema"]).removesuffix(" or null")
            yield f"- `?{each['name']}=` {kind}" + (f": {meaning}" if meaning else "")
        yield ""
    sent = operation.get("requestBody")
    if sent is not None:
        yield from _block("Sent", sent["content"]["application/json"]["schema"], schemas)
    answered = operation["responses"]["200"]["content"]["application/json"]["schema"]
    yield from _block("Answered", answered, schemas)


def _block(words: str, schema: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    said = _shape(schema, schemas, "")
    if "\n" in said:
        yield from (f"{words}:", "", "```text", said, "```", "")
    else:
        yield from (f"{words}: `{said}`", "")


def _shape(schema: dict[str, Any], schemas: dict[str, Any], indent: str) -> str:
    """What a document looks like, as JSON in which words stand for values."""
    if "$ref" in schema:
        return _shape(schemas[schema["$ref"].rpartition("/")[2]], schemas, indent)
    if "anyOf" in schema:
        return " or ".join(_shape(each, schemas, indent) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"[{_shape(schema['items'], schemas, indent)}, …]"
    if schema.get("type") == "object" and "properties" in schema:
        inner = indent + "  "
        needed = schema.get("required", ())
        fields = [
            f'"{name}"{"" if name in needed else "?"}: {_shape(field, schemas, inner)}'
            for name, field in schema["properties"].items()
        ]
        if "\n" not in (said := ", ".join(fields)) and len(indent + said) <= WIDTH:
            return f"{{{said}}}"
        return "{\n" + ",\n".join(inner + field for field in fields) + f"\n{indent}}}"
    return _kind(schema)


def _kind(schema: dict[str, Any]) -> str:
    """A value in a word or two."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(_kind, schema["anyOf"])))
    if schema.get("format") == "http-date":
        return "HTTP date"
    if schema.get("format") == "date-time":
        return "moment"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties")
        return f"{{text: {_kind(values)}, …}}" if isinstance(values, dict) else "{…}"
    words = {"string": "text", "integer": "number", "boolean": "true or false", "null": "null"}
    return words.get(schema.get("type", ""), "anything")
