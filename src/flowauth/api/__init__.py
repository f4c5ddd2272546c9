"""The JSON API: FlowKit's routes with their bodies, codes and errors, and those that FlowKit does not have.

Somebody signs in with `POST /signin`; every write then carries the value of the cookie `X-CSRF` in the header
`X-CSRF-Token`. FlowKit answers 401 to who may not do a thing, and so do its routes here; the others answer 403.

A subject is a module with the routers `flowkit` and `own`; its documents stand beside its routes.
"""

from typing import Any

from fastapi import APIRouter, FastAPI

from flowauth.api import account, description, keys, overview, roles, servers, signing_in, tokens, users

ROUTERS = tuple(
    each
    for subject in (signing_in, account, tokens, users, servers, roles, keys, overview)
    for each in (getattr(subject, "flowkit", None), getattr(subject, "own", None))
    if each is not None
)
router = APIRouter()
for each in (*ROUTERS, description.router):
    router.include_router(each)


def describe(app: FastAPI) -> dict[str, Any]:
    """The description of the API (OpenAPI)."""
    return description.describe(app, ROUTERS)
