"""FlowAuth's pages: server-rendered, and whole without JavaScript."""

from fastapi import APIRouter

from flowauth.pages import (
    account,
    mine,
    overview,
    provider,
    public,
    roles,
    scopes,
    servers,
    signing_in,
    signing_keys,
    two_factor,
    users,
)
from flowauth.pages.render import Unconfirmed, confirmation, refusal

__all__ = ["Unconfirmed", "confirmation", "refusal", "router"]

router = APIRouter()
for part in (
    public,
    signing_in,
    provider,
    two_factor,
    mine,
    account,
    users,
    servers,
    scopes,
    roles,
    signing_keys,
    overview,
):
    router.include_router(part.router)
