"""The body of a request: a query spec in JSON, bounded in size."""

import json
import math
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
        spec = json.loads(content.decode(), parse_constant=_refuse_constant, parse_float=_finite)
        # Half of a surrogate pair stands for no character, and no database or engine takes it.
        json.dumps(spec, ensure_ascii=False).encode()
    except RecursionError:
        raise _unreadable("It nests too deeply.") from None
    except UnicodeEncodeError:
        raise _unreadable("It contains half of a surrogate pair (such as \\ud800), which is no character.") from None
    except UnicodeDecodeError:
        raise _unreadable("It is not UTF-8 text.") from None
    except json.JSONDecodeError as error:
        raise _unreadable(f"It is not JSON from line {error.lineno}, column {error.colno} on.") from None
    except _ConstantError as error:
        raise _unreadable(f"It holds {error}, which is no number in JSON.") from None
    except ValueError:
        # Python reads no number of more than 4,300 digits.
        raise _unreadable("It holds a number of thousands of digits.") from None
    if not isinstance(spec, dict) or not isinstance(spec.get("query_kind"), str):
        raise _unreadable("Send a JSON object that names its query_kind at the top level.")
    return spec


def _unreadable(reason: str) -> ApiError:
    return ApiError(400, "spec_unreadable", f"Could not parse query spec. {reason}")


class _ConstantError(ValueError):
    """A name stands for a number, as NaN; the text is the name."""


def _refuse_constant(name: str) -> None:
    raise _ConstantError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _ConstantError(text[:30])
    return number


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
