"""The description of FlowAPI for programs (OpenAPI) and for people (ReDoc), made from the server's schemas."""

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from flowapi.authorisation import scopes_of_schemas

DESCRIPTION = """Aggregated answers from mobile operator data.

Run a query (`POST /api/0/run`), poll it until it is ready (`GET /api/0/poll/...`), fetch its result
(`GET /api/0/get/...`). Every call but this description needs a token in the header
`Authorization: Bearer ...`. One role of the token must hold all scopes that the call needs; roles are not
combined. A query needs `<unit>:<top kind>:<kind>` for each kind of query in it.

Every error has the same form: `msg` for people, `code` for programs, `request_id` for your administrator.
An id that is unknown and an id of a query whose scopes the token lacks are answered alike."""

INSIDE = "Queries inside queries"
TAGS = [
    {"name": "Queries", "description": "Run a query, poll it, and fetch its result."},
    {"name": "Data", "description": "What data there is, and how good it is."},
    {"name": "Server", "description": "Whether the server works, and what it answers."},
    {
        "name": INSIDE,
        "description": "Queries about single subscribers. They stand inside other queries, as parameters; their rows "
        "are not published.",
    },
]

ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "What every error looks like.",
    "required": ["msg", "status", "code", "request_id"],
    "properties": {
        "msg": {"type": "string", "description": "What is wrong and the way out, in sentences."},
        "status": {"type": "string", "description": "State of the query where there is one, else `error`."},
        "code": {"type": "string", "description": "What is wrong, for programs."},
        "request_id": {"type": "string", "description": "Number of the request in the server's log."},
        "missing_scopes": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Scopes that the closest role lacks.",
        },
        "closest_role": {"type": ["string", "null"], "description": "The role that lacks the fewest scopes."},
        "fields": {
            "type": "object",
            "description": "Path of each wrong parameter, and what is wrong with it.",
        },
    },
}

_ERRORS = {
    400: "The request is wrong; `msg` and `fields` say where.",
    401: "There is no token, or it has expired, or was revoked.",
    403: "The token lacks scopes, or the query failed.",
    404: "There is no such thing; a query may have to be run again.",
    410: "The result is gone: days that it was computed from were withdrawn or replaced. Run the query again.",
    413: "The body is too large.",
    422: "The token is not acceptable.",
    500: "The server or the query failed.",
    503: "The FlowMachine server is busy or cannot be reached, or no token can be checked at present.",
}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


_TEXT: dict[str, Any] = {"type": "string"}
_DAY = {"type": "string", "format": "date"}
_QUERY_ID = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_PROGRESS = _object(**{name: {"type": "integer"} for name in ("eligible", "queued", "running")})
_CHECK = {"cdr_type": _TEXT, "type_of_query_or_check": _TEXT}
_OUTCOME = {"outcome": _TEXT, "cdr_date": _DAY, "type_of_query_or_check": _TEXT}
ANSWERS: dict[str, dict[str, Any]] = {
    "any": {},
    "nothing": {"type": "object", "maxProperties": 0},
    "text": _TEXT,
    "run": _object(query_id=_QUERY_ID, progress=_PROGRESS),
    "poll": _object(status={"enum": ["queued", "executing"]}, msg=_TEXT, progress=_PROGRESS),
    "ready": {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"const": "completed"}, "msg": _TEXT},
    },
    "result": _object(query_id=_QUERY_ID, query_result={"type": "array", "items": {"type": "object"}}),
    "map": _object(type={"const": "FeatureCollection"}, features={"type": "array", "items": {"type": "object"}}),
    "cancel": _object(query_id=_QUERY_ID, status=_TEXT),
    "dates": {
        "type": "object",
        "properties": {
            "available_dates": {"type": "object", "additionalProperties": {"type": "array", "items": _DAY}},
            "versions": {
                "type": "object",
                "additionalProperties": {"type": "object", "additionalProperties": _TEXT},
            },
        },
        "required": ["available_dates"],
    },
    "qa_list": {"type": "array", "items": _object(**_CHECK)},
    "qa_range": {"type": "array", "items": _object(**_OUTCOME)},
    "health": _object(status={"const": "ok"}, version=_TEXT, tokens={"type": "object"}),
}


def described(success: Mapping[int, tuple[str, str, str]], *errors: int) -> dict[int | str, dict[str, Any]]:
    """Describe the answers of a route: for each status what it means, its media type and its name in ANSWERS."""
    answers: dict[int | str, dict[str, Any]] = {
        code: {"description": text, "content": {media_type: {"schema": ANSWERS[name]}}}
        for code, (text, media_type, name) in success.items()
    }
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/FlowapiError"}}}
    return answers | {code: {"description": _ERRORS[code], "content": content} for code in errors}


@dataclass(frozen=True)
class Document:
    """The description as JSON, ready to be sent, with the digest of the schemas that it was made from."""

    schemas_digest: str
    body: bytes

    @property
    def etag(self) -> str:
        """Entity tag of the document."""
        return f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'


def version() -> str:
    """Name the installed version of FlowKit."""
    return importlib.metadata.version("flowkit")


def digest(schemas: Mapping[str, Any]) -> str:
    """Name the state of the server's schemas."""
    return hashlib.sha256(json.dumps(schemas, sort_keys=True).encode()).hexdigest()


def document(routes: Sequence[BaseRoute], schemas: Mapping[str, Any], audience: str) -> Document:
    """Write the OpenAPI document from FlowAPI's routes and the server's query schemas.

    Parameters
    ----------
    routes : sequence of BaseRoute
        The routes of the application.
    schemas : mapping
        Component name to JSON schema; `FlowmachineQuerySchema` is the root of all queries.
    audience : str
        The server's name, which tokens must be made for.
    """
    described = get_openapi(
        title="FlowAPI",
        version=version(),
        description=DESCRIPTION,
        routes=routes,
        tags=TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    described["components"] = {
        "schemas": {**_tagged(schemas), "FlowapiError": ERROR_SCHEMA},
        "securitySchemes": {
            "token": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "x-audience": audience,
                "x-security-scopes": scopes_of_schemas(schemas),
            }
        },
    }
    return Document(digest(schemas), json.dumps(described, separators=(",", ":")).encode())


def _tagged(schemas: Mapping[str, Any]) -> dict[str, Any]:
    """The schemas, in which queries that stand inside others are marked: ReDoc shows them in a chapter."""
    runnable = {each.get("$ref") for each in schemas.get("FlowmachineQuerySchema", {}).get("oneOf", [])}
    return {
        name: {**schema, "x-tags": [INSIDE]}
        if len(schema.get("properties", {}).get("query_kind", {}).get("enum", ())) == 1
        and f"#/components/schemas/{name}" not in runnable
        else schema
        for name, schema in schemas.items()
    }


def as_yaml(body: bytes) -> bytes:
    """Write a JSON document as YAML."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return yaml.dump(json.loads(body), Dumper=dumper, sort_keys=False, allow_unicode=True).encode()
