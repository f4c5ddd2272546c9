"""What one database or the other does not take, as a NUL in a text or a number that is too large, is no error here."""

import pytest
from tests.flowauth.conftest import BOTH, PASSWORD

STORES = BOTH
READS = [
    *(f"/manage/{what}?find=a%00" for what in ("users", "servers", "roles", "access", "revocations", "audit")),
    "/manage/audit?actor=%00&action=%00",
    "/manage/access.csv?find=%00",
    "/manage/users?find=%ED%A0%80",
    "/manage/users?page=999999999",
    "/manage/roles?server=999999999",
    "/manage/roles?server=99999999999999",
    "/manage/users/99999999999",
    "/manage/keys/%00.pem",
    "/revocations/a%00b",
    "/admin/audit?subject=%00&actor=%00",
    "/admin/audit?before=99999999999",
    "/admin/tokens?offset=9223372036854775808",
    "/roles/?limit=100&offset=99999999999",
]
LARGE = 99_999_999_999
WRITES = [
    ("/tokens/tokens/1", {"name": "a\0", "roles": [{"name": "x\0"}]}),
    ("/admin/users", {"username": "bob", "password": PASSWORD, "roles": [LARGE]}),
    ("/admin/users", {"username": "bob", "password": PASSWORD, "provider_issuer": "a\0", "provider_subject": "\0"}),
    ("/roles/", {"name": "r", "server_id": LARGE, "scopes": [LARGE], "users": [LARGE]}),
    ("/signin", {"username": "a\0b", "password": "\0"}),
]


@pytest.fixture
def admin(signed_in_as, administrator, server):
    """A browser of the administrator, where there is a server."""
    return signed_in_as(administrator)


def test_nothing_that_is_searched_for_breaks_the_page(admin):
    """Whatever stands in an address, I get a page or a refusal."""
    came = {path: admin.get(path).status_code for path in READS}
    assert {path: status for path, status in came.items() if status not in (200, 400, 404, 422)} == {}


def test_nothing_that_is_sent_breaks_the_api(admin):
    """Whatever is sent that no database takes is refused, and nothing is stored."""
    for path, sent in WRITES:
        assert admin.post(path, json=sent).status_code in (400, 401, 404, 422), (path, sent)
