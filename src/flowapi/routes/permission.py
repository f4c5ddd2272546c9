"""Who calls, and whether the roles of the token allow what is to be done."""

import re
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import Depends, Request

from flowapi import audit, authorisation
from flowapi.errors import ApiError
from flowapi.revocations import RevokedError, Trust, UntrustedError
from flowapi.routes.machine import ask, failure, payload, record
from flowkit_jwt_generator import scopes
from flowkit_jwt_generator.jwt import Claims, TokenError

SECURED: dict[str, Any] = {"security": [{"token": []}]}
TOKEN_ERRORS = (401, 403, 422, 500, 503)
"""The answers of every route that takes a token."""
_QUERY_ID = re.compile(r"[0-9a-f]{32}")


async def _caller(request: Request) -> Claims:
    header = request.headers.get("authorization")
    if header is None:
        raise _refused_token("UNAUTHORISED", 401, "token_absent", "Missing Authorization Header")
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _refused_token(
            "INVALID_TOKEN", 422, "token_header", "Bad Authorization header. Expected value 'Bearer <JWT>'"
        )
    trust: Trust = request.app.state.trust
    current = record(request)
    try:
        claims = await trust.verify(token.strip())
    except UntrustedError as doubt:
        audit.access("UNAUTHORISED", level="error", json_payload={"msg": str(doubt), "code": doubt.code})
        raise ApiError(503, doubt.code, str(doubt)) from None
    except RevokedError as revoked:
        current.user, current.token_id = revoked.claims.subject, revoked.claims.token_id
        raise _refused_token("REVOKED_TOKEN", 401, "token_revoked", str(revoked), jti=revoked.claims.token_id) from None
    except TokenError as error:
        if error.code == "token_expired":
            raise _refused_token("EXPIRED_TOKEN", 401, error.code, error.message) from None
        raise _refused_token("INVALID_TOKEN", 422, error.code, error.message) from None
    current.user, current.token_id = claims.subject, claims.token_id
    audit.access(
        "loaded user", roles=sorted(claims.roles), token_id=claims.token_id, expires=claims.expires.isoformat()
    )
    return claims


Caller = Annotated[Claims, Depends(_caller)]


def permit(request: Request, caller: Claims, needed: Iterable[str]) -> None:
    """Check that one role holds all needed scopes, and record which roles do.

    Raises
    ------
    ApiError
        403, naming the scopes that the closest role lacks.
    """
    required = frozenset(needed)
    try:
        roles = authorisation.granting_roles(caller.roles, required)
    except ApiError as refusal:
        raise refused_scopes(refusal) from None
    audit.granted(record(request), required, roles)


async def known_query(request: Request, caller: Claims, query_id: str, *actions: str) -> str | None:
    """Check that the caller may see a query and do the actions with it; its unit is returned.

    Raises
    ------
    ApiError
        404 where there is no such query or the caller may not see it, 403 where scopes of the actions are missing.
    """
    if not _QUERY_ID.fullmatch(query_id):
        raise unknown_query(caller)
    record(request).query_id = query_id
    reply = await ask(request, "get_query_params", {"query_id": query_id})
    if reply.payload.get("query_state") == "awol":
        raise unknown_query(caller)
    if not reply.ok:
        raise failure(reply)
    unit = payload(reply, "aggregation_unit")
    needed = scopes.query_scopes(
        unit,
        payload(reply, "query_params")["query_kind"],
        payload(reply, "query_kinds"),
        payload(reply, "subset_kinds"),
    )
    # Ids are computed from queries, so anyone could learn what others ran by trying ids. A caller who lacks the
    # scopes gets the answer of an id that does not exist.
    if not authorisation.roles_together_hold(caller.roles, needed):
        raise unknown_query(caller)
    permit(request, caller, {*needed, *actions})
    return unit


def unknown_query(caller: Claims) -> ApiError:
    """The refusal of an id of no query that the caller may see."""
    if not authorisation.has_query_scope(caller.roles):
        return refused_scopes(
            ApiError(
                403,
                "scopes_missing",
                "User claims verification failed: no role of the token holds the scope of any query. "
                "Ask your administrator for a token with them.",
                missing_scopes=["*:*:*"],
                closest_role=None,
            )
        )
    return ApiError(
        404,
        "query_unknown",
        "There is no query with this id, or this token may not see it. Run the query; running it names the "
        "scopes that are missing.",
        status="awol",
    )


def refused_scopes(refusal: ApiError) -> ApiError:
    """The refusal, after it was recorded."""
    audit.access("CLAIMS_VERIFICATION_FAILED", level="error", json_payload={"msg": refusal.msg, **refusal.extra})
    return refusal


def _refused_token(event: str, http_status: int, code: str, msg: str, **details: str | None) -> ApiError:
    audit.access(event, level="error", json_payload={"msg": msg, "code": code, **details})
    return ApiError(http_status, code, msg, headers={"WWW-Authenticate": "Bearer"} if http_status == 401 else None)
