"""What every request passes: the host that it names, its size, where it comes from, and the headers of the answer."""

import logging
from collections.abc import MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flowauth import access, pages
from flowauth.errors import NotAllowed, Refused
from flowauth.services import provider, sign_in
from flowauth.settings import Settings

log = logging.getLogger("flowauth")

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
FOR_ANYBODY = ("/.well-known/jwks.json", "/revocations/", "/health")
"""What FlowAPIs and probes fetch, also by an inner address: it is public, and says the same under any name."""
LARGEST_BODY = 100_000
LARGEST_BODIES = {
    "/manage/servers": 6_000_000,
    "/admin/servers": 6_000_000,
    "/manage/roles": 1_000_000,
    "/roles": 1_000_000,
}
_A_YEAR = 365 * 24 * 60 * 60
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Gate:
    """ASGI middleware around the whole of FlowAuth."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._host = urlsplit(settings.flowauth_url).hostname if settings.flowauth_url else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, LARGEST_BODY)
        answer = _Answer(scope, send, self._settings)
        try:
            self._look_at(scope)
            headers = Headers(scope=scope)
            length = headers.get("content-length")
            if not body.takes(length or "0") or "transfer-encoding" in headers:
                # To read millions of bytes takes seconds of everybody's: they are taken from administrators alone.
                body.largest = await run_in_threadpool(_largest, Request(scope))
            body.announced(length)
            await self._app(scope, body.receive, _unless_refused(body, answer))
        except Refused as refused:
            await answer.refuse(refused)
        except Exception:
            if body.refused is None:
                log.exception("FlowAuth failed at %s %s", scope["method"], scope["path"])
        if body.refused is not None:
            await answer.refuse(body.refused)
        elif not answer.begun:
            failed = Refused("FlowAuth failed at this; an administrator finds the reason in the log.")
            failed.status = 500
            await answer.refuse(failed)

    def _look_at(self, scope: Scope) -> None:
        """Refuse what is meant for another host, and writes that another page made the browser send."""
        headers = Headers(scope=scope)
        if not scope["path"].startswith(FOR_ANYBODY) and not self._ours(headers.get("host", "")):
            raise Refused("FlowAuth is not known by this name; see FLOWAUTH_URL.")
        if scope["method"] in access.SAFE:
            return
        # Requests of scripts carry neither header.
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise NotAllowed("Another site sent this; open FlowAuth itself and try again.")
        origin = headers.get("origin", "null")
        # A page that sends no referrer sends its own forms with the origin null; they carry a token all the same.
        if origin != "null" and not self._ours(origin.partition("://")[2]):
            raise NotAllowed("Another site sent this; open FlowAuth itself and try again.")

    def _ours(self, netloc: str) -> bool:
        try:
            host = urlsplit(f"//{netloc}").hostname
        except ValueError:
            return False
        return "@" not in netloc and host is not None and (host == self._host or host in LOOPBACK)


class _Body:
    """The body of a request, as far as it is not too large."""

    def __init__(self, receive: Receive, largest: int) -> None:
        self._receive = receive
        self.largest = largest
        self._taken = 0
        self.refused: Refused | None = None

    def takes(self, length: str) -> bool:
        """Whether a body of so many bytes is not too large."""
        return length.isdecimal() and int(length) <= self.largest

    def announced(self, length: str | None) -> None:
        """Refuse a body that says of itself that it is too large."""
        if length is not None and not self.takes(length):
            raise self._too_large()

    async def receive(self) -> Message:
        """Give the next piece of the body."""
        message = await self._receive()
        self._taken += len(message.get("body", b""))
        if self._taken > self.largest:
            self.refused = self._too_large()
            return {"type": "http.disconnect"}
        return message

    def _too_large(self) -> Refused:
        refused = Refused(f"The request is larger than the {self.largest:,} bytes that FlowAuth takes here.")
        refused.status = 413
        return refused


class _Answer:
    """One answer on its way out."""

    def __init__(self, scope: Scope, send: Send, settings: Settings) -> None:
        self._scope = scope
        self._send = send
        self._settings = settings
        self.begun = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            self._dress(message)
        await self._send(message)

    async def refuse(self, refused: Refused) -> None:
        if self.begun:
            return
        request = Request(self._scope)
        page = access.is_page(self._scope)
        response: Response = pages.refusal(request, refused) if page else access.json_refusal(refused)
        await response(self._scope, _nothing, self.send)

    def _dress(self, message: MutableMapping[str, Any]) -> None:
        headers = MutableHeaders(raw=message.setdefault("headers", []))
        message["headers"] = headers.raw
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        if self._scope["path"].startswith("/static/"):
            headers.setdefault("cache-control", "public, max-age=3600")
        else:
            headers.setdefault("cache-control", "no-store")
        if (location := headers.get("location")) and self._scope["path"] != provider.PATH:
            # A path with one slash more or less is redirected to a whole address, by a name and a scheme that a proxy
            # has changed, or that somebody has made up.
            target = urlsplit(location)
            headers["location"] = urlunsplit(("", "", target.path, target.query, target.fragment))
        if self._settings.secure:
            headers.setdefault("strict-transport-security", f"max-age={_A_YEAR}; includeSubDomains")
        if (cookie := access.renewed_cookie(Request(self._scope))) is None:
            self._renew_csrf(headers)
            return
        carrier = Response()
        access.set_cookies(carrier, self._settings, cookie)
        for value in carrier.headers.getlist("set-cookie"):
            headers.append("set-cookie", value)

    def _renew_csrf(self, headers: MutableHeaders) -> None:
        """Give a script the token of its session again if it has another."""
        try:
            cookies = SimpleCookie(Headers(scope=self._scope).get("cookie", ""))
        except CookieError:
            return
        own = cookies.get(access.cookie_name(self._settings))
        if own is None or any(value.startswith(access.CSRF_COOKIE) for value in headers.getlist("set-cookie")):
            return
        token = sign_in.csrf_token(self._settings, own.value)
        if (present := cookies.get(access.CSRF_COOKIE)) is None or present.value != token:
            carrier = Response()
            carrier.set_cookie(access.CSRF_COOKIE, token, path="/", samesite="strict", secure=self._settings.secure)
            headers.append("set-cookie", carrier.headers["set-cookie"])


def _unless_refused(body: _Body, answer: _Answer) -> Send:
    async def send(message: Message) -> None:
        if body.refused is None or answer.begun:
            await answer.send(message)

    return send


def _largest(request: Request) -> int:
    """How large a body may be, by where it goes and who sends it."""
    size = next(
        (size for start, size in LARGEST_BODIES.items() if request.scope["path"].startswith(start)), LARGEST_BODY
    )
    if size > LARGEST_BODY and not access.of_cookie(request, access.session_cookie(request)).user.is_admin:
        raise NotAllowed("Only administrators may do this.")
    return size


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
