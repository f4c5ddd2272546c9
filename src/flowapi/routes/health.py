"""Whether the server works, for probes and for Prometheus."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from flowapi import openapi
from flowapi.errors import ApiError, JsonResponse
from flowapi.metrics import MEDIA_TYPE, Metrics
from flowapi.openapi import described
from flowapi.revocations import Trust
from flowapi.routes.machine import ask, failure

router = APIRouter(default_response_class=Response, tags=["Server"])


@router.get(
    "/api/0/health",
    summary="Tell whether FlowAPI and FlowMachine answer.",
    responses=described({200: ("Both answer.", "application/json", "health")}, 503),
)
async def health(request: Request) -> Response:
    """Ask the FlowMachine server for a sign of life, and give the state of the keys and the revocation list."""
    trust: Trust = request.app.state.trust
    if doubts := trust.doubts():
        raise ApiError(503, doubts.code, str(doubts), tokens=trust.status())
    reply = await ask(request, "ping", {}, timeout=min(3.0, request.app.state.settings.flowapi_backend_timeout))
    if not reply.ok:
        raise failure(reply)
    return JsonResponse({"status": "ok", "version": openapi.version(), "tokens": trust.status()})


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Write the metrics for Prometheus."""
    counted: Metrics = request.app.state.metrics
    return Response(counted.page(), media_type=MEDIA_TYPE)
