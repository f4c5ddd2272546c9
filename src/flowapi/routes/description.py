"""The description of this server: for programs, and as a page for people."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from flowapi import openapi
from flowapi.errors import ApiError
from flowapi.openapi import described
from flowapi.routes.machine import ask, failure
from flowkit_base.web import REDOC_POLICY, redoc_asset, redoc_page

router = APIRouter(default_response_class=Response, tags=["Server"])


@router.get("/", include_in_schema=False)
async def root() -> Response:
    """Say what this is, and lead people on; probes find a 200."""
    return Response(_FRONT, media_type="text/html", headers={"Content-Security-Policy": "default-src 'none'"})


_FRONT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>FlowAPI</title>
<h1>FlowAPI</h1>
<p>Aggregated answers from mobile operator data, for programs that hold a token.</p>
<ul>
<li><a href="api/0/spec/redoc">What this server answers</a></li>
<li><a href="api/0/spec/openapi.json">The same for programs: OpenAPI as JSON</a>, or
<a href="api/0/spec/openapi.yaml">as YAML</a></li>
<li><a href="api/0/health">Whether it works</a></li>
</ul>
</html>
"""


@router.get(
    "/api/0/spec/openapi.json",
    summary="Describe this server as JSON.",
    responses=described({200: ("This description.", "application/json", "any")}, 500, 503),
)
async def openapi_json(request: Request) -> Response:
    """Describe the routes, the queries and the scopes of this server."""
    document = await _document(request)
    return _tagged(request, document.body, document.etag, "application/json")


@router.get(
    "/api/0/spec/openapi.yaml",
    summary="Describe this server as YAML.",
    responses=described({200: ("This description.", "application/yaml", "any")}, 500, 503),
)
async def openapi_yaml(request: Request) -> Response:
    """Describe the routes, the queries and the scopes of this server."""
    document = await _document(request)
    text = await asyncio.to_thread(openapi.as_yaml, document.body)
    return _tagged(request, text, document.etag.replace('"', '"y', 1), "application/yaml")


@router.get("/api/0/spec/redoc", include_in_schema=False)
async def redoc() -> Response:
    """Show the description of this server to people."""
    return Response(
        redoc_page("FlowAPI", "assets"),
        media_type="text/html",
        headers={"Content-Security-Policy": REDOC_POLICY},
    )


@router.get("/api/0/spec/assets/{name}", include_in_schema=False)
async def page_asset(name: str) -> Response:
    """Send a file that the ReDoc page loads."""
    asset = await asyncio.to_thread(redoc_asset, name)
    if asset is None:
        raise ApiError(404, "no_such_path", "There is no such file.")
    content, media_type = asset
    return Response(content, media_type=media_type, headers={"Cache-Control": "max-age=3600"})


async def _document(request: Request) -> openapi.Document:
    """Give the description; it is written again only when the server's schemas change."""
    state = request.app.state
    reply = await ask(request, "get_query_schemas", {})
    if not reply.ok:
        raise failure(reply)
    schemas = reply.payload.get("query_schemas", {})
    cached: openapi.Document | None = state.document
    if cached is None or cached.schemas_digest != openapi.digest(schemas):
        state.document = cached = await asyncio.to_thread(
            openapi.document, request.app.routes, schemas, request.app.state.settings.flowapi_identifier
        )
    return cached


def _tagged(request: Request, content: bytes, etag: str, media_type: str) -> Response:
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in known:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
