"""A query as an object, for asynchronous programs."""

# The asynchronous query is an APIQuery, as it has always been, whose methods are to be awaited.
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# pyright: reportInconsistentOverload=false

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from flowclient.api_query import APIQuery
from flowclient.exchange import FileFormat, ResultFormat
from flowclient.spec_values import QuerySpec

if TYPE_CHECKING:
    from collections.abc import Coroutine

    import geopandas
    import pandas as pd

    from flowclient.async_connection import ASyncConnection


class ASyncAPIQuery(APIQuery):
    """A query that can be run, waited for and read by awaiting; all else is as in `APIQuery`."""

    _connection: ASyncConnection

    def __init__(self, *, connection: ASyncConnection, parameters: QuerySpec) -> None:
        super().__init__(connection=connection, parameters=parameters)  # pyright: ignore[reportArgumentType]

    @property
    def connection(self) -> ASyncConnection:
        """Return the connection that the query is asked over."""
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
