"""What the web services share: the ReDoc page of an API, its assets and its content security policy."""

import importlib.resources
from functools import cache

from fastapi.openapi.docs import get_redoc_html

REDOC_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""The content security policy of the ReDoc page: it loads from its own server alone."""

_ASSETS = {"redoc.standalone.js": "text/javascript; charset=utf-8", "favicon.png": "image/png"}
# ReDoc's script asks a foreign host for a logo; it gets an empty picture instead.
_FOREIGN_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"


def redoc_page(title: str, assets: str) -> bytes:
    """The ReDoc page beside an `openapi.json`; it loads its script and icon from the relative address `assets`."""
    page = get_redoc_html(
        openapi_url="openapi.json",
        title=title,
        redoc_js_url=f"{assets}/redoc.standalone.js",
        redoc_favicon_url=f"{assets}/favicon.png",
        with_google_fonts=False,
    )
    return bytes(page.body)


@cache
def redoc_asset(name: str) -> tuple[bytes, str] | None:
    """A file that the ReDoc page loads, with its media type; None where there is none of this name."""
    if name not in _ASSETS:
        return None
    content = (importlib.resources.files("fastapi_offline") / "static" / name).read_bytes()
    return content.replace(_FOREIGN_LOGO, b"data:,"), _ASSETS[name]
