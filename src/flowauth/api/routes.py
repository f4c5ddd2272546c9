"""What the routes of the JSON API share: how FlowKit's routes refuse."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse, Response

from flowauth import access
from flowauth.errors import NameTaken, NotAllowed


class FlowKitRoute(APIRoute):
    """A route that FlowKit has: it answers 401 to who may not do a thing, and says so if a name is taken."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give what answers a request."""
        answer = super().get_route_handler()

        async def as_flowkit(request: Request) -> Response:
            try:
                return await answer(request)
            except (access.ChooseFirst, access.SetUpFirst):
                raise
            except NotAllowed as refused:
                refused.status = 401
                raise
            except NameTaken as refused:
                body = json.loads(bytes(access.json_refusal(refused).body))
                body |= {"status": refused.status, "statusText": "Name already exists"}
                return JSONResponse(body, status_code=refused.status)

        return as_flowkit
