"""Who asks: the one place where pages and API learn who is signed in, and refuse who may not."""

import datetime as dt
from typing import Annotated, Any

from fastapi import Depends, Path, Request
from starlette.datastructures import FormData
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from flowauth.errors import NotAllowed, NotSignedIn, Refused, TooMany, fields
from flowauth.services import sign_in, throttle
from flowauth.services.sign_in import Person
from flowauth.settings import Settings
from flowauth.tables import User

LARGEST_NUMBER = 2**31 - 1
"""The largest number that a row can have; databases take no larger one."""
Id = Annotated[int, Path(ge=1, le=LARGEST_NUMBER)]
KeyId = Annotated[str, Path(pattern="^[0-9a-f]{1,64}$")]

COOKIE, DEVICE_COOKIE = "flowauth_session", "flowauth_device"
CSRF_COOKIE, CSRF_HEADER, CSRF_FIELD = "X-CSRF", "X-CSRF-Token", "csrf"
VISIT = "flowauth_visit"
"""The cookie of a browser in which nobody is signed in yet, so that no other page can sign it in."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
MOST_FIELDS = 60_000
"""Fields of a form: a role has one for each of its scopes."""
_PAGES = frozenset({"", "sign-in", "sign-out", "choose-password", "set-up-two-factor", "account", "my", "manage"})
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class ChooseFirst(NotAllowed):
    """Somebody must choose a password before they do anything else."""

    def __init__(self) -> None:
        super().__init__("Choose a password of your own first; the one that you were given is for signing in once.")


class SetUpFirst(NotAllowed):
    """Somebody must set up two-factor before they do anything else."""

    def __init__(self) -> None:
        super().__init__("Set up two-factor authentication first; it is required of you.")


def is_page(scope: Scope) -> bool:
    """Whether a request is for a page: by its path, or, if no route has it, by what the browser accepts."""
    if scope["path"].split("/")[1:2] and scope["path"].split("/")[1] in _PAGES:
        return True
    accepted = dict(scope["headers"]).get(b"accept", b"")
    return "route" not in scope and b"text/html" in accepted


def cookie_name(settings: Settings, name: str = COOKIE) -> str:
    """The name under which a cookie is set: if people come by https, one that no other host can set."""
    return f"__Host-{name}" if settings.secure else name


def set_cookie(
    response: Response, settings: Settings, value: str, name: str = COOKIE, life: dt.timedelta | None = None
) -> None:
    """Set a cookie that scripts cannot read and other sites cannot send; without a life, until the browser ends."""
    seconds = int(life.total_seconds()) if life else None
    response.set_cookie(
        cookie_name(settings, name),
        value,
        max_age=seconds,
        path="/",
        secure=settings.secure,
        httponly=True,
        samesite="lax",
    )


def forget_cookie(response: Response, settings: Settings, name: str = COOKIE) -> None:
    """Delete a cookie."""
    response.delete_cookie(cookie_name(settings, name), path="/", secure=settings.secure, httponly=True, samesite="lax")


def remember_device(response: Response, settings: Settings, user: User, device: str | None) -> None:
    """Let a device be known on which a person has just signed in completely; `device` is its cookie so far."""
    value = throttle.device_cookie(settings, user, device)
    set_cookie(response, settings, value, DEVICE_COOKIE, throttle.DEVICE_LIFE)


def address_of(request: Request) -> str:
    """The address that a request comes from.

    What X-Forwarded-For says is believed from the right on as long as FLOWAUTH_TRUSTED_PROXIES say it.
    """
    trusted = request.app.state.settings.trusted_proxies
    address = throttle.read_address(request.client.host) if request.client else None
    if address is None:
        return "unknown"
    hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    for hop in reversed(hops):
        if not any(address in network for network in trusted):
            break
        before = throttle.read_address(hop)
        if before is None:
            break
        address = before
    return str(address)


def session_cookie(request: Request) -> str:
    """What the cookie of the session holds, or nothing; once it is given another value, that one."""
    return renewed_cookie(request) or request.cookies.get(cookie_name(request.app.state.settings), "")


def renewed_cookie(request: Request) -> str | None:
    """The value that the cookie of the session is given by the answer to this request, if it is given one."""
    return getattr(request.state, "session_cookie", None)


def device_cookie(request: Request) -> str | None:
    """The cookie by which a browser is known in which people have signed in before."""
    return request.cookies.get(cookie_name(request.app.state.settings, DEVICE_COOKIE))


def keep_cookie(request: Request, cookie: str) -> None:
    """Let the answer, whatever it will be, give the cookie of a session; the gate sets it."""
    request.state.session_cookie = cookie


def set_cookies(response: Response, settings: Settings, cookie: str) -> None:
    """Give a browser the cookie of a session, and the token that its writes must carry."""
    set_cookie(response, settings, cookie)
    csrf = sign_in.csrf_token(settings, cookie)
    response.set_cookie(CSRF_COOKIE, csrf, path="/", samesite="strict", secure=settings.secure)


def drop_cookie(response: Response, settings: Settings) -> None:
    """Delete the cookies of a session."""
    forget_cookie(response, settings)
    response.delete_cookie(CSRF_COOKIE, path="/", samesite="strict", secure=settings.secure)


async def posted(request: Request) -> FormData:
    """Give the form that was sent, if it carries the token of this browser's session."""
    if not request.headers.get("content-type", "").startswith(_FORMS):
        raise Refused("This address takes a form.")
    try:
        form = await request.form(max_files=1, max_fields=MOST_FIELDS)
        # The sender chooses the encoding, and some give what no page and no database can hold.
        for text in (part for pair in form.multi_items() for part in pair if isinstance(part, str)):
            text.encode()
    except UnicodeError:
        raise Refused("The form holds characters that are no text; load the page again.") from None
    given = form.get(CSRF_FIELD)
    settings = request.app.state.settings
    owner = session_cookie(request) or request.cookies.get(VISIT, "")
    if not owner:
        raise NotAllowed("Your browser did not send FlowAuth's cookie; allow cookies for this site and try again.")
    sign_in.check_csrf(settings, owner, given if isinstance(given, str) else "")
    return form


async def _from_here(request: Request) -> None:
    """Refuse a write that another page made the browser send."""
    if request.method in SAFE:
        return
    if request.headers.get("content-type", "").startswith(_FORMS) and is_page(request.scope):
        await posted(request)
        return
    given = request.headers.get(CSRF_HEADER, "")
    cookie = session_cookie(request)
    if not cookie:
        raise NotSignedIn("Sign in first.")
    sign_in.check_csrf(request.app.state.settings, cookie, given)


def signed_in_at_least(request: Request, _: Annotated[None, Depends(_from_here)]) -> Person:
    """Who is signed in, even if they must choose a password or set up two-factor before all else."""
    cookie = session_cookie(request)
    if not cookie:
        raise NotSignedIn("Sign in first.")
    person = of_cookie(request, cookie)
    request.state.person = person
    return person


def of_cookie(request: Request, cookie: str, complete: bool = True) -> Person:
    """Who a cookie is of, to be used after the session of the database is closed."""
    with request.app.state.database.read() as session:
        person = sign_in.who(session, request.app.state.settings, cookie, complete)
        session.expunge_all()
    return person


def confirm(request: Request, person: Person, password: str | None, field: str) -> None:
    """Ask somebody for their password again; the session gets another cookie, so that a stolen old one stops working.

    In a transaction of its own, so that a wrong password is counted; it is refused with the name of the field.
    """
    state = request.app.state
    if password is None and person.user.password is not None:
        raise Refused("Your own password is needed for this.", field)
    with fields(field), state.database.write() as session:
        cookie = sign_in.confirm(session, state.settings, person, password or "", address_of(request))
    if cookie is not None:
        keep_cookie(request, cookie)


def may_choose(person: Annotated[Person, Depends(signed_in_at_least)]) -> Person:
    """Who is signed in and may choose a password: who must do so before all else, or need do nothing first."""
    if person.set_up_needed and not person.choice_needed:
        raise SetUpFirst
    return person


def may_set_up(person: Annotated[Person, Depends(signed_in_at_least)]) -> Person:
    """Who is signed in with a password of their own, even if they must set up two-factor before all else."""
    if person.choice_needed:
        raise ChooseFirst
    return person


def signed_in(person: Annotated[Person, Depends(may_set_up)]) -> Person:
    """Who is signed in, with all that is required of them."""
    if person.set_up_needed:
        raise SetUpFirst
    return person


def administrator(person: Annotated[Person, Depends(signed_in)]) -> Person:
    """Who is signed in, if they administer."""
    if not person.user.is_admin:
        raise NotAllowed("Only administrators may do this.")
    return person


SignedInAtLeast = Annotated[Person, Depends(signed_in_at_least)]
MayChoose = Annotated[Person, Depends(may_choose)]
MaySetUp = Annotated[Person, Depends(may_set_up)]
SignedIn = Annotated[Person, Depends(signed_in)]
Administrator = Annotated[Person, Depends(administrator)]
Posted = Annotated[FormData, Depends(posted)]


def own_path(path: str | None) -> str:
    """The path of this FlowAuth to go on to, or its first page if it is asked for another site."""
    # A browser takes //elsewhere for another host, and a backslash for a slash; in an address all else is ASCII.
    if not path or not (path.isascii() and path.isprintable()) or "\\" in path:
        return "/"
    return path if path.startswith("/") and not path.startswith("//") else "/"


def json_refusal(refused: Refused) -> JSONResponse:
    """A refusal in FlowKit's form: `message`, `code`, and the field if one is meant."""
    body: dict[str, Any] = {"message": refused.message, "code": refused.status}
    if refused.field is not None:
        body["bad_field"] = refused.field
    if isinstance(refused, ChooseFirst):
        body["require_password_change"] = True
    if isinstance(refused, SetUpFirst):
        body["require_two_factor_setup"] = True
    headers = {"Retry-After": str(max(1, round(refused.wait)))} if isinstance(refused, TooMany) else None
    return JSONResponse(body, status_code=refused.status, headers=headers)
