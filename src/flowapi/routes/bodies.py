"""The body of a request: a query spec in JSON, bounded in size."""

import json
from typing import Any

from fastapi import Request

from flowapi.errors import ApiError


async def read_spec(request: Request, largest: int) -> dict[str, Any]:
    """The query spec in the body of a request.

    Raises
    ------
    ApiError
        413 if the body has more than `largest` bytes, 400 if it is no JSON object with a `query_kind`.
    """
    content = await _body(request, largest)
    try:
        spec = json.loads(content.decode(), parse_constant=_refuse_constant)
        # Half of a surrogate pair stands for no character, and no database or engine takes it.
        json.dumps(spec, ensure_ascii=False).encode()
    except RecursionError:
        raise _unreadable("It nests too deeply.") from None
    except UnicodeEncodeError:
        raise _unreadable("It contains half of a surrogate pair (such as \\ud800), which is no character.") from None
    except UnicodeDecodeError:
        raise _unreadable("It is not UTF-8 text.") from None
    except ValueError as error:
        raise _unreadable(f"{error}.".replace("..", ".")) from None
    if not isinstance(spec, dict) or not isinstance(spec.get("query_kind"), str):
        raise _unreadable("Send a JSON object that names its query_kind at the top level.")
    return spec


def _unreadable(reason: str) -> ApiError:
    return ApiError(400, "spec_unreadable", f"Could not parse query spec. {reason}")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


async def _body(request: Request, largest: int) -> bytes:
    parts: list[bytes] = []
    size = int(request.headers.get("content-length", "0"))
    if size <= largest:
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > largest:
                break
            parts.append(part)
    if size > largest:
        raise ApiError(
            413,
            "body_too_large",
            f"The body is larger than {largest} bytes (FLOWAPI_MAX_BODY_BYTES); make the query smaller.",
            headers={"Connection": "close"},
        )
    return b"".join(parts)
