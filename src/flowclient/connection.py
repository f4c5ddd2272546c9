"""A connection to FlowAPI that waits for its answers, and the queries that are made over it."""

from __future__ import annotations

import os
import reprlib
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, overload

import httpx

from flowclient import exchange
from flowclient.endpoint import DEFAULT_TIMEOUT, Certificate, Endpoint
from flowclient.errors import FlowclientConnectionError, FlowclientNotFoundError
from flowclient.exchange import Exchange, FileFormat, Request, ResultFormat, Wait
from flowclient.spec_values import QuerySpec
from flowkit_base.files import replacing

if TYPE_CHECKING:
    import geopandas
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

Value = TypeVar("Value")

# A spec of many days is a page long.
_short = reprlib.Repr()
_short.maxlevel, _short.maxdict, _short.maxlist, _short.maxstring = 3, 6, 2, 60


class Connection(Endpoint[httpx.Client]):
    """A connection to FlowAPI that waits for its answers.

    Nothing is sent when it is made. `timeout` is the number of seconds that one answer may take to come
    (None: no limit); how long a query may take is another matter, see `get_result`.
    """

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
        self.session = httpx.Client(**self.session_settings(ssl_certificate, timeout))

    def get_url(
        self, *, route: str, data: dict[str, Any] | None = None, params: dict[str, Any] | None = None
    ) -> httpx.Response:
        """GET a route below the API's root and return the response, if its status is 200, 202 or 303."""
        return self.perform(exchange.get(route, params, data))

    def post_json(self, *, route: str, data: dict[str, Any]) -> httpx.Response:
        """POST JSON to a route below the API's root and return the response, if its status is 202."""
        return self.perform(exchange.post(route, data))

    def make_api_query(self, parameters: QuerySpec) -> APIQuery:
        """Return a query of this connection from its spec."""
        return APIQuery(connection=self, parameters=parameters)

    def perform(self, steps: Exchange[Value]) -> Value:
        """Go through an exchange and return what it comes to."""
        try:
            step = next(steps)
            while True:
                try:
                    answer = self._take(step)
                except BaseException as failure:  # the exchange knows what to make of it
                    step = steps.throw(failure)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            return end.value
        except FlowclientConnectionError as refusal:
            # It is a sentence for the analyst; the frames of the HTTP client below it would hide that.
            raise refusal.with_traceback(None) from None

    def close(self) -> None:
        """Close the connection's sockets."""
        self.session.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self, step: Request | Wait) -> httpx.Response | None:
        if isinstance(step, Wait):
            time.sleep(step.seconds)
            return None
        request = self.http_request(step)
        if step.save_to is None:
            return self.session.send(request)
        response = self.session.send(request, stream=True)
        try:
            if response.status_code == 200:
                with replacing(step.save_to) as file:
                    for chunk in response.iter_bytes():
                        file.write(chunk)
            else:
                response.read()
        finally:
            response.close()
        return response


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
        """Return the connection that the query runs over."""
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

        `waiting` is what `wait_until_ready` takes. The file is complete or does not appear.
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
        state = "not run" if self._query_id is None else f"query_id={self._query_id}"
        return f"<{type(self).__name__} {_short.repr(self.parameters)}, {state}, connection={self.connection}>"

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
    """A connection of either kind: it makes queries that run over it."""

    def make_api_query(self, parameters: QuerySpec) -> Query_co:
        """Return a query from its spec."""
        ...
