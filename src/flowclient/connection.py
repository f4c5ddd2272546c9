"""A connection to FlowAPI that waits for its answers."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from flowclient import exchange
from flowclient.endpoint import DEFAULT_TIMEOUT, Certificate, Endpoint
from flowclient.exchange import Exchange, Request, Wait
from flowclient.files import replacing
from flowclient.spec_values import QuerySpec

if TYPE_CHECKING:
    from flowclient.api_query import APIQuery

Value = TypeVar("Value")


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
        from flowclient.api_query import APIQuery  # noqa: PLC0415  # the two name each other

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
