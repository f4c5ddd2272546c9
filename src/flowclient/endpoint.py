"""Where a FlowAPI is, who asks, and how its certificate is checked: what both kinds of connection share."""

from __future__ import annotations

import os
import ssl
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import httpx

from flowclient.errors import FlowclientConnectionError
from flowclient.exchange import Request, own_route
from flowclient.tokens import read_token, user_of
from flowkit_base.addresses import is_loopback

Certificate: TypeAlias = str | os.PathLike[str] | bool | ssl.SSLContext | None

Session = TypeVar("Session", httpx.Client, httpx.AsyncClient)

CONNECT_TIMEOUT = 10.0
DEFAULT_TIMEOUT = 300.0


class Endpoint(Generic[Session]):
    """A FlowAPI and a user of it.

    Attributes: `url`, `token`, `user` (the token's `sub`), `api_version` and `session` (the HTTP client).
    """

    session: Session

    def __init__(self, *, url: str, token: str | os.PathLike[str], api_version: int) -> None:
        self.url = url.rstrip("/")
        self.api_version = api_version
        scheme, host = _scheme_and_host(self.url)
        if scheme == "http" and not is_loopback(host):
            warnings.warn(
                f"The connection to {self.url} is not secure: use https, or anyone on the way can read the token.",
                UserWarning,
                stacklevel=4,
            )
        self.token = read_token(token)
        self.user = user_of(self.token)

    def update_token(self, token: str | os.PathLike[str]) -> None:
        """Use another token from now on; it is given as text or as the path of a file.

        Raises `FlowclientConnectionError` if it cannot be decoded or has no claim `sub`; the old one stays.
        """
        text = read_token(token)
        self.user = user_of(text)
        self.token = text
        self.session.headers["Authorization"] = f"Bearer {text}"

    def http_request(self, request: Request) -> httpx.Request:
        """Return the HTTP request, below this API's root whatever the route says."""
        return self.session.build_request(
            request.method,
            own_route(request.route, self.session.base_url),
            params=dict(request.params) if request.params is not None else None,
            json=request.json,
        )

    def session_settings(self, ssl_certificate: Certificate, timeout: float | None) -> dict[str, Any]:
        """Return what the HTTP client, blocking or not, is made with."""
        return {
            "base_url": f"{self.url}/api/{self.api_version}/",
            "headers": {"Authorization": f"Bearer {self.token}"},
            "timeout": httpx.Timeout(timeout, connect=CONNECT_TIMEOUT),
            "follow_redirects": False,
            "http2": find_spec("h2") is not None,
            # Without TLS there is nothing to check, and loading the roots takes longer than all the rest.
            "verify": ssl_context(ssl_certificate)
            if self.url.startswith("https:")
            else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        }

    def __repr__(self) -> str:
        return f"{self.user}@{self.url} v{self.api_version}"


def ssl_context(ssl_certificate: Certificate) -> ssl.SSLContext:
    """Return how a server's certificate is checked.

    `ssl_certificate` is the path of a certificate file or folder; True or None for the machine's usual
    roots; False to check nothing; or a context of one's own.
    """
    if isinstance(ssl_certificate, ssl.SSLContext):
        return ssl_certificate
    if ssl_certificate is None or ssl_certificate is True or ssl_certificate == "":
        return httpx.create_ssl_context()
    if ssl_certificate is False:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    path = Path(ssl_certificate)
    try:
        if path.is_dir():
            return ssl.create_default_context(capath=str(path))
        return ssl.create_default_context(cafile=str(path))
    except (OSError, ssl.SSLError) as fault:
        reason = "does not exist" if isinstance(fault, FileNotFoundError) else f"cannot be used ({fault})"
        raise FlowclientConnectionError(
            f"ssl_certificate: the file {path} {reason}; give a certificate in PEM form."
        ) from None


def _scheme_and_host(url: str) -> tuple[str, str]:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as fault:
        raise FlowclientConnectionError(f"url: {url!r} is not a URL ({fault}).") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise FlowclientConnectionError(
            f"url: {url!r} must begin with https:// or http:// and name a host, like https://flowapi.example.org."
        )
    return parsed.scheme, parsed.host
