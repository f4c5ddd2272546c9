"""The FlowAuth application: its pages and its JSON API behind one gate."""

import contextlib
import logging
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from flowauth import access, api, pages
from flowauth.errors import NotNow, NotThere, Refused
from flowauth.gate import Gate
from flowauth.misfits import UNREADABLE, misfit
from flowauth.opening import opened
from flowauth.services.following import following
from flowauth.settings import Settings

STATIC = Path(__file__).parent / "static"

log = logging.getLogger("flowauth")


def create_app(settings: Settings) -> FastAPI:
    """Open the database and give the application; `app.state` holds `settings`, `database` and `vault`.

    The key of the settings is admitted to the signing keys, and the first administrator is made if there is none.
    """
    database, vault = opened(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with following(database, settings.flowauth_follow_seconds):
            yield
        database.close()

    app = FastAPI(title="FlowAuth", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.settings, app.state.database, app.state.vault = settings, database, vault
    app.include_router(pages.router, include_in_schema=False)
    app.include_router(api.router)
    app.openapi = lambda: api.describe(app)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for kind in (Refused, HTTPException, RequestValidationError, OperationalError):
        app.add_exception_handler(kind, _refuse)
    app.add_exception_handler(pages.Unconfirmed, _ask)
    app.add_middleware(Gate, settings=settings)
    return app


def _ask(request: Request, error: Exception) -> Response:
    """Ask for what loses something whether it is meant."""
    assert isinstance(error, pages.Unconfirmed)  # noqa: S101 - what it is registered for
    return pages.confirmation(request, error)


def _refuse(request: Request, error: Exception) -> Response:
    """Answer what was refused: a page for pages, JSON for the API."""
    refused = _as_refused(error)
    if access.is_page(request.scope):
        return pages.refusal(request, refused)
    return access.json_refusal(refused)


def _as_refused(error: Exception) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, OperationalError):
        # A full disk, a server that is down, or somebody who writes for longer than others wait.
        log.error("The database failed: %s", str(error.orig).strip())
        return NotNow()
    if isinstance(error, RequestValidationError):
        return misfit(error)
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == HTTPStatus.NOT_FOUND:
        return NotThere("There is nothing at this address.")
    refused = Refused(UNREADABLE.get(status, f"{HTTPStatus(status).phrase}."))
    refused.status = status
    return refused
