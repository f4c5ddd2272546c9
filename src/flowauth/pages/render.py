"""How a page comes to be: templates, what every page shows, and the note that follows what was done."""

import contextlib
import datetime as dt
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from importlib import metadata
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote, urlencode

import jinja2
from fastapi import Request
from markupsafe import Markup
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, RedirectResponse, Response

from flowauth import access
from flowauth.errors import NotSignedIn, Refused, TooMany
from flowauth.pages import forms
from flowauth.services import sign_in

MESSAGE = "flowauth_said"
"""The cookie of what is to be said once on the next page."""
Look = Literal["done", "note", "wrong"]
_CLASSES = {"done": "said", "note": "notice", "wrong": "complaint"}
_PLURALS = {"day": "days", "key": "keys", "person": "people"}
_TEMPLATES = Path(__file__).parents[1] / "templates"
_STATIC = Path(__file__).parents[1] / "static"


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a template; what every page needs (who is signed in, where, the forms' token) is there already."""
    settings = request.app.state.settings
    owner = access.session_cookie(request) or request.cookies.get(access.VISIT, "")
    visit = None if owner else secrets.token_urlsafe(16)
    person = getattr(request.state, "person", None)
    message = _opened(request) if status < 400 else None
    html = _environment.get_template(template).render(
        {
            "csrf": sign_in.csrf_token(settings, owner or visit or ""),
            "person": person,
            "path": request.url.path,
            "message": message,
            "version": VERSION,
            "stamp": _stamp(),
            "refused": None,
            **values,
        }
    )
    response = HTMLResponse(html, status)
    if visit is not None:
        response.set_cookie(access.VISIT, visit, path="/", httponly=True, samesite="lax", secure=settings.secure)
    if message is not None:
        response.delete_cookie(MESSAGE, path="/")
    return response


def then(request: Request, path: str, text: str | None = None, look: Look = "done") -> RedirectResponse:
    """Go on to another page, and show a message there once."""
    response = RedirectResponse(path, 303)
    if text is not None:
        settings, message = request.app.state.settings, f"{look}:{text}"
        response.set_cookie(
            MESSAGE,
            f"{_seal(request, message)}.{quote(message)}",
            max_age=60,
            httponly=True,
            samesite="lax",
            path="/",
            secure=settings.secure,
        )
    return response


def refusal(request: Request, refused: Refused) -> Response:
    """Answer what was refused: with the page that mends it if there is one, else with a page that says why."""
    if isinstance(refused, access.ChooseFirst):
        return RedirectResponse("/choose-password", 303)
    if isinstance(refused, access.SetUpFirst):
        return RedirectResponse("/set-up-two-factor", 303)
    if isinstance(refused, NotSignedIn) and request.url.path != "/sign-in":
        query = f"?{urlencode({'next': _own_address(request)})}" if request.method == "GET" else ""
        return then(request, f"/sign-in{query}", "Sign in to go on." if request.url.path != "/" else None, "note")
    if refused.status == HTTPStatus.NOT_FOUND and not hasattr(request.state, "person"):
        # No route has looked who is signed in; the page has their menu.
        with contextlib.suppress(Refused, SQLAlchemyError):
            request.state.person = access.of_cookie(request, access.session_cookie(request))
    response = page(request, "refused.html", refused.status, refused=refused)
    if isinstance(refused, TooMany):
        response.headers["Retry-After"] = str(max(1, round(refused.wait)))
    return response


@dataclass
class Unconfirmed(Exception):
    """Something is lost by what a form does, and nobody has said yet that it may be; the application asks."""

    form: FormData
    title: str
    losses: Sequence[str]
    button: str
    back: str
    password: bool


def weigh(form: FormData, title: str, losses: Sequence[str], button: str, back: str, *, password: bool = False) -> None:
    """Let pass what loses nothing, or what was confirmed in these very words; else raise Unconfirmed.

    Call it inside the transaction, after the work, so that the losses are the real ones: the error rolls it back.
    """
    if losses and form.get("confirmed") != forms.fingerprint([title, *losses]):
        raise Unconfirmed(form, title, losses, button, back, password)


def confirmation(request: Request, unconfirmed: Unconfirmed) -> HTMLResponse:
    """Ask, by a page that names what is lost, whether a form is meant; it carries the form on."""
    form = unconfirmed.form
    own = {access.CSRF_FIELD, "confirmed", "your_password"}
    carried = [(name, value) for name, value in form.multi_items() if isinstance(value, str) and name not in own]
    return page(
        request,
        "confirm.html",
        question=unconfirmed,
        carried=carried,
        confirmed=forms.fingerprint([unconfirmed.title, *unconfirmed.losses]),
    )


def moment(when: dt.datetime | None) -> str:
    """A moment for people: with its year and its zone."""
    return "never" if when is None else f"{when.astimezone(dt.UTC):%-d %b %Y, %H:%M} UTC"


def life(minutes: int) -> str:
    """A number of minutes in the largest unit that divides it."""
    for unit, size in (("day", 1440), ("hour", 60), ("minute", 1)):
        if minutes % size == 0:
            return counted(minutes // size, unit)
    raise AssertionError


def counted(number: int, what: str) -> str:
    """A number of things: 1 token, 2 tokens."""
    plural = _PLURALS.get(what) or (what[:-1] + "ies" if what.endswith("y") else f"{what}s")
    return f"{number:,} {what if number == 1 else plural}"


def breaking(name: str) -> Markup:
    """A name that may be broken after its underscores, if a line is too short for it."""
    return Markup("_<wbr>").join(name.split("_"))


def local(when: dt.datetime | None) -> str:
    """A moment as a field of a form holds it."""
    return "" if when is None else f"{when.astimezone(dt.UTC):%Y-%m-%dT%H:%M}"


def _own_address(request: Request) -> str:
    return access.own_path(request.url.path + (f"?{request.url.query}" if request.url.query else ""))


def _seal(request: Request, message: str) -> str:
    secret = request.app.state.settings.secret_key.get_secret_value().encode()
    return hmac.new(secret, f"said:{message}".encode(), hashlib.sha256).hexdigest()[:32]


def _opened(request: Request) -> tuple[str, str] | None:
    """The class of the message that is to be shown, and its text."""
    seal, _, quoted = request.cookies.get(MESSAGE, "").partition(".")
    message = unquote(quoted)
    look, _, text = message.partition(":")
    if look not in _CLASSES or not hmac.compare_digest(seal.encode(), _seal(request, message).encode()):
        return None
    return _CLASSES[look], text


def _stamp() -> str:
    """What changes with the style and the script, so that no browser keeps old ones."""
    return str(max(int(path.stat().st_mtime) for path in _STATIC.iterdir()))


def _version() -> str:
    try:
        return metadata.version("flowkit")
    except metadata.PackageNotFoundError:
        return "unknown"


VERSION = _version()
_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {"moment": moment, "life": life, "local": local, "counted": counted, "breaking": breaking}
