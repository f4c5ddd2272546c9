"""The FlowAPI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from flowapi.backend import Backend
from flowapi.errors import ApiError, error_response
from flowapi.gate import Gate
from flowapi.metrics import Metrics
from flowapi.revocations import Trust
from flowapi.routes import router
from flowapi.settings import Settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make the FlowAPI application (ASGI); settings are read from secrets and environment if not given."""
    chosen = settings or Settings()  # pyright: ignore[reportCallIssue]  # values come from the environment

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.backend = Backend(chosen.backend_address, chosen.flowapi_backend_timeout, chosen.curve_keys)
        try:
            async with app.state.trust.kept_in_step():
                yield
        finally:
            await app.state.backend.close()

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=lifespan)
    metrics = Metrics()
    app.state.settings = chosen
    app.state.trust = Trust(chosen)
    app.state.metrics = metrics
    metrics.watch(app.state.trust)
    app.state.document = None
    app.include_router(router)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_middleware(Gate, metrics=metrics)
    return app


_PATH_ERRORS = {
    404: ("no_such_path", "There is nothing at this path; GET /api/0/spec/redoc shows what there is."),
    405: ("method_not_allowed", "This path does not take this method; GET /api/0/spec/redoc shows which."),
}


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code, msg = _PATH_ERRORS.get(error.status_code, ("http_error", str(error.detail)))
    record = request.scope["flowapi.record"]
    record.code = code
    return error_response(ApiError(error.status_code, code, msg, headers=error.headers), record.request_id)
