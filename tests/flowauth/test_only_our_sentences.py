"""Whatever is sent wherever, an answer is a page, a document or a sentence of FlowAuth's: no 500, no traceback."""

import itertools
import json
import re

import pytest
from tests.flowauth.test_attacks import browser_of, peopled, routes_of

__all__ = ["peopled"]
LEAVES = {"/signout", "/sign-out"}
ALONE = "\ud800"
"""A lone surrogate: JSON can hold it, and UTF-8 cannot."""
HOSTILE = (ALONE, "\0", "x" * 5_000, "9" * 400, -1, 10**400, 1e308, True, None, [], [ALONE], {ALONE: ALONE}, "\u202e")
FIELDS = """
    username password your_password newPassword two_factor_code backup_codes_signature secret name server_id
    roles scopes users latest_token_expiry longest_token_life_minutes document document_url signs_from
    lifetime_minutes provider_issuer provider_subject next find s shown others version packed seen life
    confirmed which signed code when unit mark generate
""".split()  # noqa: SIM905
BODIES = [
    *(json.dumps(dict.fromkeys(FIELDS, value)) for value in HOSTILE),
    json.dumps({ALONE: True}),
    json.dumps([ALONE]),
    json.dumps(ALONE),
    '{"name": NaN}',
    "{",
    "[" * 5_000,
    "\ufeff{}",
]
CHARSETS = {"unicode_escape": r"\ud800", "utf-7": "+2AA-", "undefined": "x", "idna": "xn--\xff"}
PART = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
FORMS = [
    ("application/x-www-form-urlencoded", "&".join(f"{name}=%ED%A0%80%00" for name in FIELDS)),
    ("application/x-www-form-urlencoded", "&".join(f"{name}={'9' * 400}" for name in FIELDS)),
    ("application/x-www-form-urlencoded", "%ED%A0%80=1&=&&=%"),
    ("multipart/form-data; boundary=b", "--b\r\nnonsense"),
    ("multipart/form-data", "--b--"),
]
LIBRARIES = re.compile(
    r"Traceback|Input should|should have|codec|surrogate|Exception|Error\b|sqlalchemy|pydantic|psycopg|sqlite|"
    r"Extra inputs|Field required|JSON decode|unable to|Method Not Allowed|Bad Request"
)


def complaint_of(answer, asked):
    """What is wrong with an answer, if anything is."""
    if answer.status_code >= 500 and answer.status_code != 502:
        return f"{asked}: {answer.status_code} {answer.text[:200]}"
    if answer.status_code < 400:
        return None
    if "json" in answer.headers.get("content-type", ""):
        said = answer.json()["message"]
    else:
        said = " ".join(
            re.findall(r'<p class="(?:lead|error)"[^>]*>(.*?)</p>|role="alert">(.*?)</div>', answer.text)[0]
        )
    wrong = LIBRARIES.search(said) or not said.rstrip("</p>").rstrip().endswith((".", "?"))
    return f"{asked}: {said[:200]}" if wrong else None


@pytest.fixture
def writes(app):
    """Every route that writes, with numbers put in."""
    return sorted({(path, method) for _, path, method in routes_of(app) if method != "GET" and path not in LEAVES})


def test_whatever_json_is_sent_is_answered_in_our_words(app, signed_in_as, administrator, peopled, writes):
    """Lone surrogates, NULs, huge numbers and what is no JSON are answered in sentences that name the field."""
    browser = signed_in_as(administrator)
    wrong = []
    # Each route gets a fifth of the bodies; together they get each of them many times.
    for at, (path, method) in enumerate(writes):
        for body in BODIES[at % 5 :: 5]:
            answer = browser.request(method, path, content=body, headers={"Content-Type": "application/json"})
            wrong.append(complaint_of(answer, f"{method} {path} {body[:60]}"))
    assert not list(filter(None, wrong)), "\n".join(filter(None, wrong))


def test_whatever_form_is_sent_is_answered_in_our_words(app, signed_in_as, administrator, peopled, writes):
    """Forms in broken encodings, and forms that are none, are answered with a page that says what is wrong."""
    browser = signed_in_as(administrator)
    csrf = browser.headers["X-CSRF-Token"]
    encoded = [
        (
            f"multipart/form-data; boundary=b; charset={charset}",
            "".join(PART.format(name, text) for name in FIELDS) + PART.format("csrf", csrf) + "--b--\r\n",
        )
        for charset, text in CHARSETS.items()
    ]
    wrong = []
    pages = [each for each in writes if not each[0].startswith(("/admin", "/roles", "/tokens", "/user", "/signin"))]
    # Each page gets a third of the forms.
    for at, ((path, method), (kind, form)) in enumerate(itertools.product(pages, [*FORMS, *encoded, FORMS[0]])):
        if at % 3:
            continue
        content = f"{form}&csrf={csrf}" if kind.startswith("application") else form
        answer = browser.request(method, path, content=content.encode(), headers={"Content-Type": kind})
        wrong.append(complaint_of(answer, f"{method} {path} {kind} {form[:60]}"))
    assert not list(filter(None, wrong)), "\n".join(filter(None, wrong))


def test_whatever_is_asked_for_is_answered_in_our_words(app, signed_in_as, administrator, peopled):
    """What cannot be in an address, a cookie or a header is left out or refused in a sentence, on every page."""
    browser = signed_in_as(administrator)
    query = "&".join(
        f"{name}=%ED%A0%80%00" for name in ("find", "page", "server", "which", "unit", "limit", "next", "live")
    )
    wrong = []
    for declared, path, method in routes_of(app):
        if method != "GET" or declared in LEAVES:
            continue
        number = declared.replace("{", "%ED%A0%80{").split("{")[0] if "{" in declared else None
        for each in filter(None, (f"{path}?{query}", number)):
            wrong.append(complaint_of(browser.get(each), f"GET {each}"))
    wrong += [complaint_of(browser.request("PROPFIND", path), path) for path in ("/account", "/admin/users")]
    stranger = browser_of(app)
    for cookie in ("flowauth_session=\xff", "X-CSRF=\xff; flowauth_visit=\xff", "flowauth_said=x.done:\xff"):
        wrong.append(complaint_of(stranger.get("/sign-in", headers={"Cookie": cookie.encode("latin-1")}), cookie))
    assert not list(filter(None, wrong)), "\n".join(filter(None, wrong))
