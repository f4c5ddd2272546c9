"""A connection to FlowAPI for asynchronous programs."""

from __future__ import annotations

import asyncio
import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from flowclient import exchange
from flowclient.endpoint import DEFAULT_TIMEOUT, Certificate, Endpoint
from flowclient.exchange import Exchange, Request, Wait
from flowclient.files import replacing
from flowclient.spec_values import QuerySpec

if TYPE_CHECKING:
    from flowclient.async_api_query import ASyncAPIQuery

Value = TypeVar("Value")


class ASyncConnection(Endpoint[httpx.AsyncClient]):
    """A connection to FlowAPI for asynchronous programs; all else is as in `Connection`."""

    def __init__(
        self,
        *,
        url: str,
        token: str | os.PathLike[str],
        api_version: int = 0,
        ssl_certificate: Certificate = True,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> None:
        super().__init__(url=url, token=token, api_version=api_version)
        self.session = httpx.AsyncClient(**self.session_settings(ssl_certificate, timeout))

    async def get_url(
        self, *, route: str, data: dict[str, Any] | None = None, params: dict[str, Any] | None = None
    ) -> httpx.Response:
        """GET a route below the API's root and return the response, if its status is 200, 202 or 303."""
        return await self.perform(exchange.get(route, params, data))

    async def post_json(self, *, route: str, data: dict[str, Any]) -> httpx.Response:
        """POST JSON to a route below the API's root and return the response, if its status is 202."""
        return await self.perform(exchange.post(route, data))

    def make_api_query(self, parameters: QuerySpec) -> ASyncAPIQuery:
        """Return a query of this connection from its spec."""
        from flowclient.async_api_query import ASyncAPIQuery  # noqa: PLC0415  # the two name each other

        return ASyncAPIQuery(connection=self, parameters=parameters)

    async def perform(self, steps: Exchange[Value]) -> Value:
        """Go through an exchange and return what it comes to."""
        try:
            step = next(steps)
            while True:
                try:
                    answer = await self._take(step)
                except BaseException as failure:  # the exchange knows what to make of it
                    step = steps.throw(failure)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            return end.value

    async def close(self) -> None:
        """Close the connection's sockets."""
        await self.session.aclose()

    async def __aenter__(self) -> ASyncConnection:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _take(self, step: Request | Wait) -> httpx.Response | None:
        if isinstance(step, Wait):
            await asyncio.sleep(step.seconds)
            return None
        request = self.http_request(step)
        if step.save_to is None:
            return await self.session.send(request)
        response = await self.session.send(request, stream=True)
        try:
            if response.status_code == 200:
                with replacing(step.save_to) as file:
                    async for chunk in response.aiter_bytes():
                        file.write(chunk)
            else:
                await response.aread()
        finally:
            await response.aclose()
        return response
