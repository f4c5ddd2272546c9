"""The one shape of every error: {"msg", "status", "code", "request_id"} and what else helps to mend it."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from flowkit_base.errors import UserError


class ApiError(UserError):
    """A request is refused or fails.

    Attributes
    ----------
    http_status : int
        HTTP status code.
    code : str
        What is wrong, for programs; stable.
    msg : str
        The same as a sentence for people.
    status : str
        State of the query where there is one, else "error".
    extra : dict
        More keys of the body, such as `missing_scopes` or `fields`.
    headers : dict
        More headers of the answer.
    """

    def __init__(
        self,
        http_status: int,
        code: str,
        msg: str,
        *,
        status: str = "error",
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(msg)
        self.http_status = http_status
        self.code = code
        self.msg = msg
        self.status = status
        self.headers = dict(headers or {})
        self.extra = extra


class JsonResponse(Response):
    """An answer in JSON that any text can be put into, lone surrogates included."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Write the content as compact ASCII JSON."""
        return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


def error_response(error: ApiError, request_id: str) -> JsonResponse:
    """Write an error as an HTTP answer."""
    body = {
        "msg": error.msg,
        "status": error.status,
        "code": error.code,
        "request_id": request_id,
        **error.extra,
    }
    return JsonResponse(body, status_code=error.http_status, headers=error.headers)
