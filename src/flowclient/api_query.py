"""A query as an object: its spec, its connection, and what has become of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, overload

from flowclient import exchange
from flowclient.errors import FlowclientNotFoundError
from flowclient.exchange import Exchange, FileFormat, ResultFormat
from flowclient.spec_values import QuerySpec

if TYPE_CHECKING:
    import geopandas
    import pandas as pd

    from flowclient.connection import Connection


class APIQuery:
    """A query that can be run, waited for and read.

    `parameters` is its spec; `connection` cannot be replaced (but its token can).
    """

    def __init__(self, *, connection: Connection, parameters: QuerySpec) -> None:
        self._connection = connection
        self.parameters = dict(parameters)
        self._query_id: str | None = None

    @property
    def connection(self) -> Connection:
        """Return the connection that the query is asked over."""
        return self._connection

    @property
    def query_id(self) -> str | None:
        """Return the id that the server gave the query, None before it is run."""
        return self._query_id

    @property
    def status(self) -> str:
        """Ask for the query's status: `not_running`, `queued`, `executing`, `completed`."""
        return self.connection.perform(self._status())

    def run(self) -> None:
        """Ask the server to run the query."""
        self.connection.perform(self._run())

    def wait_until_ready(
        self,
        poll_interval: float | None = None,
        disable_progress: bool | None = None,
        timeout: float | None = None,
    ) -> None:
        """Wait until the query is ready.

        `poll_interval`: seconds between polls, by default growing from 0.1 to 2. `disable_progress`: True
        hides the bar, False shows it, None shows it on a terminal or in a notebook. `timeout`: seconds.
        Raises `FileNotFoundError` if the query was not run, `FlowclientTimeoutError` if the time is over.
        """
        self.connection.perform(self._wait(poll_interval, disable_progress, timeout))

    @overload
    def get_result(
        self,
        format: Literal["pandas"] = "pandas",  # the public name
        poll_interval: float | None = None,
        disable_progress: bool | None = None,
        timeout: float | None = None,
    ) -> pd.DataFrame: ...
    @overload
    def get_result(
        self,
        format: Literal["geojson"],
        poll_interval: float | None = None,
        disable_progress: bool | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]: ...
    @overload
    def get_result(
        self,
        format: Literal["geopandas"],
        poll_interval: float | None = None,
        disable_progress: bool | None = None,
        timeout: float | None = None,
    ) -> geopandas.GeoDataFrame: ...
    def get_result(
        self,
        format: ResultFormat = "pandas",  # noqa: A002
        poll_interval: float | None = None,
        disable_progress: bool | None = None,
        timeout: float | None = None,
    ) -> pd.DataFrame | dict[str, Any] | geopandas.GeoDataFrame:
        """Return the query's result, after running it if need be.

        `format`: `pandas` for a DataFrame, `geojson` for a dict, `geopandas` for a GeoDataFrame. A result
        that the server has forgotten is computed again. The rest is as in `wait_until_ready`.
        """
        return self.connection.perform(self._result(format, poll_interval, disable_progress, timeout))

    def to_csv(self, path: str | os.PathLike[str], **waiting: Any) -> Path:
        """Write the query's result to a CSV file, after running it if need be, and return its path.

        `waiting` is what `wait_until_ready` takes. The file is there whole or not at all.
        """
        return self.download(path, "csv", **waiting)

    def download(
        self,
        path: str | os.PathLike[str],
        format: FileFormat | None = None,  # noqa: A002
        **waiting: Any,
    ) -> Path:
        """Write the query's result to a file, after running it if need be, and return its path.

        `format`: csv, json, geojson, parquet or arrow; by default what the path's suffix says. The result
        goes to the file as it comes and never lies in memory whole.
        """
        return self.connection.perform(self._download(Path(path), format, **waiting))

    def cancel(self) -> str:
        """Ask the server to stop the query and return its state after that."""
        return self.connection.perform(self._cancel())

    def __repr__(self) -> str:
        kind = f"{type(self).__module__}.{type(self).__name__}"
        return f"<{kind} object, connection={self.connection}, parameters={self.parameters}>"

    def _run(self) -> Exchange[None]:
        self._query_id = yield from exchange.run_query(self.parameters)

    def _status(self) -> Exchange[str]:
        return "not_running" if self._query_id is None else (yield from exchange.get_status(self._query_id))

    def _wait(self, *waiting: Any) -> Exchange[None]:
        yield from exchange.wait_for_query_to_be_ready(self._running(), *waiting)

    def _result(self, format: str, *waiting: Any) -> Exchange[Any]:  # noqa: A002
        exchange.result_reader(format)  # a wrong format is refused before anything runs
        return (yield from self._read(lambda query_id: exchange.get_result_by_query_id(query_id, format, *waiting)))

    def _download(self, path: Path, format: str | None, **waiting: Any) -> Exchange[Path]:  # noqa: A002
        chosen = exchange.file_format(path, format)
        return (
            yield from self._read(lambda query_id: exchange.download_by_query_id(query_id, path, chosen, **waiting))
        )

    def _cancel(self) -> Exchange[str]:
        return (yield from exchange.cancel_query(self._running()))

    def _read(self, read: Callable[[str], Exchange[Any]]) -> Exchange[Any]:
        if self._query_id is not None:
            try:
                return (yield from read(self._query_id))
            except FlowclientNotFoundError:
                # The server has forgotten the result, so it is run again, once.
                self._query_id = None
        yield from self._run()
        return (yield from read(self._running()))

    def _running(self) -> str:
        if self._query_id is None:
            raise FileNotFoundError("Query is not running; call run() first.")
        return self._query_id


Query = TypeVar("Query", bound=APIQuery)
Query_co = TypeVar("Query_co", bound=APIQuery, covariant=True)


class QueryMaker(Protocol[Query_co]):
    """A connection of either kind: it makes queries that are asked over it."""

    def make_api_query(self, parameters: QuerySpec) -> Query_co:
        """Return a query from its spec."""
        ...
