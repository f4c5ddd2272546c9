"""A connection to FlowAPI for asynchronous programs, and the queries that are made over it."""

# The asynchronous query is an APIQuery, as it has always been, whose methods are to be awaited.
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# pyright: reportInconsistentOverload=false

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import httpx

from flowclient import exchange
from flowclient.connection import APIQuery
from flowclient.endpoint import DEFAULT_TIMEOUT, Certificate, Endpoint
from flowclient.errors import FlowclientConnectionError
from flowclient.exchange import Exchange, FileFormat, Request, ResultFormat, Wait
from flowclient.spec_values import QuerySpec
from flowkit_base.files import replacing

if TYPE_CHECKING:
    import geopandas
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

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
        except FlowclientConnectionError as refusal:
            raise refusal.with_traceback(None) from None

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


class ASyncAPIQuery(APIQuery):
    """A query that can be run, waited for and read by awaiting; all else is as in `APIQuery`."""

    _connection: ASyncConnection

    def __init__(self, *, connection: ASyncConnection, parameters: QuerySpec) -> None:
        super().__init__(connection=connection, parameters=parameters)  # pyright: ignore[reportArgumentType]

    @property
    def connection(self) -> ASyncConnection:
        """Return the connection that the query runs over."""
        return self._connection

    @property
    def status(self) -> Coroutine[Any, Any, str]:
        """Ask, when awaited, for the query's status."""
        return self.connection.perform(self._status())

    async def run(self) -> None:
        """Ask the server to run the query."""
        await self.connection.perform(self._run())

    async def wait_until_ready(
        self,
        poll_interval: float | None = None,
        disable_progress: bool | None = None,
        timeout: float | None = None,
    ) -> None:
        """Wait until the query is ready; parameters and errors are those of `APIQuery.wait_until_ready`."""
        await self.connection.perform(self._wait(poll_interval, disable_progress, timeout))

    @overload
    async def get_result(
        self,
        format: Literal["pandas"] = "pandas",  # the public name
        poll_interval: float | None = None,
        disable_progress: bool | None = None,
        timeout: float | None = None,
    ) -> pd.DataFrame: ...
    @overload
    async def get_result(
        self,
        format: Literal["geojson"],
        poll_interval: float | None = None,
        disable_progress: bool | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]: ...
    @overload
    async def get_result(
        self,
        format: Literal["geopandas"],
        poll_interval: float | None = None,
        disable_progress: bool | None = None,
        timeout: float | None = None,
    ) -> geopandas.GeoDataFrame: ...
    async def get_result(
        self,
        format: ResultFormat = "pandas",  # noqa: A002
        poll_interval: float | None = None,
        disable_progress: bool | None = None,
        timeout: float | None = None,
    ) -> pd.DataFrame | dict[str, Any] | geopandas.GeoDataFrame:
        """Return the query's result, after running it if need be, as `APIQuery.get_result` does."""
        return await self.connection.perform(self._result(format, poll_interval, disable_progress, timeout))

    async def to_csv(self, path: str | os.PathLike[str], **waiting: Any) -> Path:
        """Write the query's result to a CSV file, after running it if need be, and return its path."""
        return await self.download(path, "csv", **waiting)

    async def download(
        self,
        path: str | os.PathLike[str],
        format: FileFormat | None = None,  # noqa: A002
        **waiting: Any,
    ) -> Path:
        """Write the query's result to a file, after running it if need be, as `APIQuery.download` does."""
        return await self.connection.perform(self._download(Path(path), format, **waiting))

    async def cancel(self) -> str:
        """Ask the server to stop the query and return its state after that."""
        return await self.connection.perform(self._cancel())
