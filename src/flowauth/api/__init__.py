"""The JSON API: FlowKit's routes with their bodies, codes and errors, and those that FlowKit does not have.

Somebody signs in with `POST /signin`; every write then carries the value of the cookie `X-CSRF` in the header
`X-CSRF-Token`. FlowKit answers 401 to who may not do a thing, and so do its routes here; the others answer 403.

A subject is a module, registered by existing: its routers are `flowkit`, for FlowKit's routes, and `own`; its documents
stand beside its routes.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from fastapi import APIRouter, FastAPI

from flowauth.api import description

ROUTERS: tuple[APIRouter, ...] = tuple(
    getattr(module, name)
    for module in (import_module(f"{__name__}.{listed.name}") for listed in iter_modules(__path__))
    for name in ("flowkit", "own")
    if hasattr(module, name)
)
router = APIRouter()
for each in (*ROUTERS, description.router):
    router.include_router(each)


def describe(app: FastAPI) -> dict[str, Any]:
    """The description of the API (OpenAPI)."""
    return description.describe(app, ROUTERS)
