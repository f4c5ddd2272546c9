"""FlowAuth's pages: server-rendered, whole without JavaScript. A module with a `router` is registered by existing."""

from importlib import import_module
from pkgutil import iter_modules

from fastapi import APIRouter

from flowauth.pages.render import Unconfirmed, confirmation, refusal

__all__ = ["Unconfirmed", "confirmation", "refusal", "router"]

router = APIRouter()
for listed in iter_modules(__path__):
    module = import_module(f"{__name__}.{listed.name}")
    if hasattr(module, "router"):
        router.include_router(module.router)
