"""What anybody may fetch: the keys that tokens are signed with, the revocation lists, and whether FlowAuth is well."""

from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from flowauth.services import keys, revocations, servers

router = APIRouter()


@router.get("/.well-known/jwks.json")
def key_set(request: Request) -> JSONResponse:
    """The published keys as a JSON Web Key Set."""
    with request.app.state.database.read() as session:
        body: dict[str, Any] = keys.key_set(session)
    return JSONResponse(body, headers={"Cache-Control": "public, max-age=60"})


# A name may hold a slash.
@router.get("/revocations/{server_name:path}")
def revocation_list(request: Request, server_name: str) -> Response:
    """The signed revocation list of a server."""
    with request.app.state.database.read() as session:
        server = servers.named(session, server_name)
        signed = revocations.signed_list(session, request.app.state.vault, server)
    return Response(signed, media_type="application/jwt")


@router.get("/health")
def health(request: Request) -> JSONResponse:
    """Whether FlowAuth can read its database."""
    with request.app.state.database.read() as session:
        session.execute(sa.select(1))
    return JSONResponse({"status": "ok"})
