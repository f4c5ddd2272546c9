"""What a FlowAPI server says about itself: its name and the scopes that its queries need."""

from functools import lru_cache
from typing import Any

from flowkit_base.errors import UserError

TIMEOUT_SECONDS = 30.0


class ServerSpecError(UserError):
    """A FlowAPI server cannot be reached, or what it answers is not a FlowAPI description."""


def get_all_claims_from_flowapi(flowapi_url: str) -> list[str]:
    """Read every scope that a FlowAPI server knows from its public description; requested once a process."""
    return list(_token_section(flowapi_url)["x-security-scopes"])


def get_audience_from_flowapi(flowapi_url: str) -> str:
    """Read the name of a FlowAPI server, which tokens carry as `aud`; requested once a process."""
    return str(_token_section(flowapi_url)["x-audience"])


@lru_cache(maxsize=32)
def _token_section(flowapi_url: str) -> dict[str, Any]:
    # FlowAPI checks tokens with this package and never asks a server.
    import httpx  # noqa: PLC0415

    url = f"{flowapi_url.rstrip('/')}/api/0/spec/openapi.json"
    try:
        response = httpx.get(url, timeout=TIMEOUT_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServerSpecError(
            f"No FlowAPI answers at {flowapi_url} ({error}); check the URL and that the server runs."
        ) from error
    try:
        answer = response.json()
    except ValueError:
        answer = {}
    if response.status_code != httpx.codes.OK:
        reason = answer.get("msg", "no reason given") if isinstance(answer, dict) else "no reason given"
        raise ServerSpecError(f"{url} answers {response.status_code}: {reason}")
    try:
        section = answer["components"]["securitySchemes"]["token"]
    except (KeyError, TypeError):
        section = {}
    if not {"x-audience", "x-security-scopes"} <= section.keys():
        raise ServerSpecError(f"{url} does not describe a FlowAPI server (no audience, no scopes); check the URL.")
    return section
