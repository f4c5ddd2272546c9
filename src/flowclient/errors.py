"""What can go wrong between an analyst and FlowAPI.

Every exception is a `FlowclientConnectionError`, so `except FlowclientConnectionError` catches them all.
"""

from __future__ import annotations

from typing import Any


class FlowclientConnectionError(Exception):
    """FlowAPI could not be reached, or refused a request.

    Attributes hold what the answer said, if there was one: `status_code` (HTTP), `msg` (the server's
    sentence), `status` (its state word), `request_id` (for the operator's log), `missing_scopes`, `fields`
    and `payload` (what is wrong with a query spec).
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        msg: str | None = None,
        status: str | None = None,
        request_id: str | None = None,
        missing_scopes: list[str] | None = None,
        fields: Any = None,
        payload: Any = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.msg = message if msg is None else msg
        self.status = status
        self.request_id = request_id
        self.missing_scopes = missing_scopes or []
        self.fields = fields
        self.payload = payload


class FlowclientUnreachableError(FlowclientConnectionError):
    """No answer came from FlowAPI, or it broke off."""


class FlowclientTokenError(FlowclientConnectionError):
    """The token cannot be read, or does not say whose it is."""


class FlowclientAccessError(FlowclientConnectionError):
    """FlowAPI refused the token, or the token does not allow the request (401, 403, 422)."""


class FlowclientNotFoundError(FlowclientConnectionError, FileNotFoundError):
    """FlowAPI does not know what was requested (404); it is a `FileNotFoundError` too."""


class FlowclientRequestError(FlowclientConnectionError):
    """The request itself is wrong, for example a query spec with a bad value (400 and other 4xx)."""


class FlowclientServerError(FlowclientConnectionError):
    """FlowAPI failed, is too busy, or the query failed (429, 5xx)."""


class FlowclientTimeoutError(FlowclientConnectionError, TimeoutError):
    """The query did not finish within the time given; it goes on running on the server."""
