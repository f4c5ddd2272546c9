"""The description of the JSON API: OpenAPI, and the page that shows it."""

from collections.abc import Sequence
from importlib.metadata import version as version_of
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.responses import Response

from flowauth import access
from flowauth.errors import NotThere
from flowkit_base.web import REDOC_POLICY, redoc_asset, redoc_page

router = APIRouter(include_in_schema=False)
DESCRIPTION = """\
People, servers, roles and tokens. `POST /signin` gives two cookies; every write carries the value of the cookie
`X-CSRF` in the header `X-CSRF-Token`. A refusal is `{"message", "code", "bad_field"?}`.

A token is shown once, when it is made: nobody, FlowAuth included, can read it again.
"""


@router.get("/redoc")
def redoc() -> Response:
    """Show the description of the API to people."""
    page = redoc_page("FlowAuth", "redoc")
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": REDOC_POLICY})


@router.get("/redoc/{name}")
def asset(name: str) -> Response:
    """Send a file that the description loads."""
    if (file := redoc_asset(name)) is None:
        raise NotThere("There is no such file.")
    content, media_type = file
    return Response(content, media_type=media_type, headers={"Cache-Control": "public, max-age=3600"})


_REFUSALS = {
    "400": "What was asked cannot be done as it stands; `message` says why.",
    "401": "Nobody is signed in, or they may not do this.",
    "403": "Who is signed in may not do this, or must set two-factor up first.",
    "404": "There is no such thing.",
    "413": "The request is too large.",
    "429": "There were too many attempts; `Retry-After` says for how many seconds to wait.",
    "502": "A server's document cannot be read at its address.",
}
_REFUSAL = {
    "type": "object",
    "description": "What every refusal looks like.",
    "required": ["message", "code"],
    "properties": {
        "message": {"type": "string", "description": "What is wrong and the way out, in a sentence."},
        "code": {"type": "integer", "description": "The status."},
        "bad_field": {"type": "string", "description": "The field that is meant."},
        "need_two_factor": {"type": "boolean", "description": "The code of the second factor is needed."},
        "require_two_factor_setup": {"type": "boolean", "description": "Two-factor must be set up first."},
        "require_password_change": {"type": "boolean", "description": "A password must be chosen first."},
        "status": {"type": "integer", "description": "The status again, if a name is taken."},
        "statusText": {"type": "string", "description": "`Name already exists`, if a name is taken."},
    },
}


def _whom_for(route: APIRoute) -> str:
    """Who may ask a route, in a sentence."""
    waiting, required = list(route.dependant.dependencies), set[Any]()
    while waiting:
        each = waiting.pop()
        required.add(each.call)
        waiting += each.dependencies
    for call, words in _WHOM_FOR.items():
        if call in required:
            return words
    return "For everybody."


_WHOM_FOR = {
    access.administrator: "For administrators.",
    access.signed_in: "For whoever is signed in.",
    access.may_set_up: "For whoever is signed in, also if two-factor is still to be set up.",
    access.may_choose: "For whoever is signed in, also if a password is still to be chosen.",
    access.signed_in_at_least: "For whoever is signed in, also if something is still to be done first.",
}


def describe(app: FastAPI, routers: Sequence[APIRouter]) -> dict[str, Any]:
    """The description of the API (OpenAPI), made once."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    routes = [route for each in routers for route in each.routes if isinstance(route, APIRoute)]
    whom_for = {(route.path, method.lower()): _whom_for(route) for route in routes for method in route.methods or ()}
    described = get_openapi(title="FlowAuth", version=version_of("flowkit"), description=DESCRIPTION, routes=app.routes)
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            open_to_all = path in ("/signin", "/version")
            operation["description"] += f"\n\n{whom_for[path, method]}"
            operation["responses"].pop("422", None)
            operation["responses"] |= {
                status: {
                    "description": words,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
                }
                for status, words in _REFUSALS.items()
            }
            if not open_to_all:
                operation["security"] = [{"session": []} if method == "get" else {"session": [], "csrf": []}]
    schemas = described["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Refusal"] = _REFUSAL
    described["components"]["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": access.cookie_name(app.state.settings)},
        "csrf": {"type": "apiKey", "in": "header", "name": access.CSRF_HEADER},
    }
    app.openapi_schema = described
    return described
