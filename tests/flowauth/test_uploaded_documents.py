"""Documents of servers that are huge, deep, broken, or that lie: refused in a sentence, and nothing is stored."""

import asyncio
import base64
import datetime as dt
import json
import socket
import ssl
import threading
import time
import zlib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.flowauth.conftest import document

from flowauth.errors import NameTaken, Refused
from flowauth.services import servers
from flowauth.services.limits import Limits
from flowauth.tables import AuditRecord, Scope, Server


def _with(**token) -> bytes:
    return json.dumps({"components": {"securitySchemes": {"token": token}}}).encode()


SCOPES = ["run", "get_result"]
LIES = {
    "nothing": (b"", "not JSON"),
    "no JSON": (b"openapi: 3.0.1", "not JSON"),
    "cut short": (document()[:-2], "not JSON"),
    "another encoding": ("{}".encode("utf-16")[:-1], "not JSON"),
    "bytes that are no text": (b"\xff\xfe\xfa{}", "not JSON"),
    "deep lists": (b"[" * 1_000_000, "not JSON"),
    "deep objects": (b'{"components":' * 100_000, "not JSON"),
    "a list": (b"[]", "components.securitySchemes.token"),
    "a number": (b"1e999", "components.securitySchemes.token"),
    "another API": (b'{"openapi": "3.0.1", "components": {}}', "components.securitySchemes.token"),
    "components is a text": (b'{"components": "securitySchemes"}', "components.securitySchemes.token"),
    "token is a list": (b'{"components": {"securitySchemes": {"token": ["x"]}}}', "components.securitySchemes.token"),
    "no audience": (_with(**{"x-security-scopes": SCOPES}), "x-audience"),
    "an audience that is a list": (_with(**{"x-audience": ["A", "B"], "x-security-scopes": SCOPES}), "x-audience"),
    "an empty audience": (_with(**{"x-audience": " ", "x-security-scopes": SCOPES}), "x-audience"),
    "an audience that is too long": (document("A" * 76), "x-audience"),
    "an audience over two lines": (document("A\r\nSet-Cookie: a=b"), "x-audience"),
    "an audience with a NUL": (document("A\x00"), "x-audience"),
    "an audience that is turned about": (document("A\u202eB"), "x-audience"),
    "no scopes": (_with(**{"x-audience": "A"}), "x-security-scopes"),
    "an empty list of scopes": (document(scopes=[]), "x-security-scopes"),
    "scopes that are a text": (_with(**{"x-audience": "A", "x-security-scopes": "run"}), "x-security-scopes"),
    "scopes that are an object": (_with(**{"x-audience": "A", "x-security-scopes": {"run": 1}}), "x-security-scopes"),
    "a scope that is a number": (document(scopes=["run", 1]), "x-security-scopes"),
    "a scope that is a list": (document(scopes=["run", ["get_result"]]), "x-security-scopes"),
    "an empty scope": (document(scopes=["run", ""]), "x-security-scopes"),
    "a scope that is too long": (document(scopes=["a" * 513]), "x-security-scopes"),
    "a scope with a line break": (document(scopes=["run\n"]), "x-security-scopes"),
    "a scope with a bell": (document(scopes=["run\x07"]), "x-security-scopes"),
    "a scope that is half a letter": (document().replace(b'"run"', b'"\\ud800"'), "x-security-scopes"),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_no_document_is_refused(lie):
    """What cannot be the document of a FlowAPI is refused with a sentence that says what is wrong with it."""
    content, said = LIES[lie]
    with pytest.raises(Refused, match=said) as refused:
        servers.read_document(content)
    assert refused.value.field == "document"
    assert len(refused.value.message) < 300
    assert refused.value.message.isprintable()


@pytest.mark.parametrize("scopes", [50_001, 1_000_000])
def test_a_document_of_very_many_scopes_is_refused_quickly(scopes):
    """A million scopes are refused, and cost no more time than reading them."""
    content = document(scopes=[str(number) for number in range(scopes)])
    began = time.monotonic()
    with pytest.raises(Refused):
        servers.read_document(content)
    assert time.monotonic() - began < 5


def test_a_document_of_all_that_flowkit_has_is_taken():
    """The 628 scopes of FlowKit 1.34, each as long as can be, are far within what is taken."""
    read = servers.read_document(document(scopes=[f"{number:0512d}" for number in range(628)]))
    assert len(read.scopes) == 628


def test_a_scope_that_stands_twice_counts_once(database, settings):
    """A document that repeats itself makes no trouble."""
    read = servers.read_document(document(scopes=["run", "run", "get_result"]))
    with database.write() as session:
        server = servers.create(session, "tests", read, Limits(None, 60))
        assert sorted(scope.name for scope in server.scopes) == ["get_result", "run"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(audience=ANYTHING, scopes=ANYTHING)
def test_any_document_is_read_or_refused(audience, scopes):
    """Whatever stands where the name and the scopes should: it is right, or it is refused; nothing else happens."""
    try:
        read = servers.read_document(_with(**{"x-audience": audience, "x-security-scopes": scopes}))
    except Refused:
        return
    assert read.audience.isprintable()
    assert 0 < len(read.audience) <= 75
    assert read.scopes == set(scopes)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(content):
    """Bytes at random are no document."""
    with pytest.raises(Refused):
        servers.read_document(content)


def test_the_document_of_another_server_is_not_taken_over(database, server):
    """A document whose audience is another server's cannot change this one's scopes."""
    read = servers.read_document(document("ANOTHER", ["run"]))
    with database.write() as session, pytest.raises(Refused, match="ANOTHER"):
        servers.follow(session, "ada", servers.find(session, server.id), read)
    with database.read() as session:
        assert len(servers.find(session, server.id).scopes) > 1


def test_a_server_cannot_be_made_twice_by_its_document(database, server):
    """A document that gives itself the name of a server that is there makes no second one."""
    with database.write() as session, pytest.raises(NameTaken):
        servers.create(session, "ada", servers.read_document(document()), Limits(None, 60))


def _counted(database):
    with database.read() as session:
        return [session.scalar(sa.select(sa.func.count()).select_from(each)) for each in (Server, Scope, AuditRecord)]


def _upload(browser, content, **fields):
    form = {"csrf": browser.headers["X-CSRF-Token"], "longest_token_life_minutes": "60", **fields}
    return browser.post("/manage/servers/new", data=form, files={"document": ("openapi.json", content)})


def test_a_bad_upload_is_told_on_the_page_and_nothing_is_kept(database, administrator, signed_in_as):
    """The page says at the field what is wrong, and the database is as it was."""
    browser = signed_in_as(administrator)
    before = _counted(database)
    for lie in ("no JSON", "deep lists", "another API", "a scope with a bell", "an audience over two lines"):
        answer = _upload(browser, LIES[lie][0])
        assert answer.status_code == 400, lie
        assert "document" in answer.text
        assert "Traceback" not in answer.text
    assert _counted(database) == before


def test_a_huge_upload_is_refused_by_its_size(database, administrator, signed_in_as):
    """Twenty megabytes are not read to their end, whether their length is announced or not."""
    browser = signed_in_as(administrator)
    before = _counted(database)
    assert _upload(browser, b" " * 20_000_000).status_code == 413
    pieces = (b"x" * 100_000 for _ in range(200))
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    assert browser.post("/manage/servers/new", content=pieces, headers=kind).status_code == 413
    assert _counted(database) == before


def test_a_little_that_unpacks_to_much_is_refused(database, administrator, signed_in_as, server):
    """What a page carries packed from one step to the next is unpacked to five megabytes at most."""
    browser = signed_in_as(administrator)
    for content in (zlib.compress(b" " * 50_000_000, 9), b"no zlib", zlib.compress(b"no JSON")):
        form = {"csrf": browser.headers["X-CSRF-Token"], "seen": "1", "packed": base64.b64encode(content).decode()}
        assert browser.post(f"/manage/servers/{server.id}/document", data=form).status_code == 400
    with database.read() as session:
        assert len(servers.find(session, server.id).scopes) > 1


@contextmanager
def _api(answer, tls=None):
    """A server on loopback whose every answer is written by a function."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            try:
                answer(self)
            except OSError:
                self.close_connection = True

        def log_message(self, *_):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as api:
        api.daemon_threads = True
        if tls is not None:
            api.socket = tls.wrap_socket(api.socket, server_side=True)
        threading.Thread(target=api.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{api.server_port}"
        finally:
            api.shutdown()


def _send(content, status=200, **headers):
    def answer(handler):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def test_a_document_is_read_at_its_address():
    """The address of the server is enough; that of the document itself does too."""
    with _api(_send(document())) as address:
        for url in (address, f"{address}/", f"{address}/somewhere/openapi.json"):
            assert servers.read_document(servers.fetch_document(url)).audience == "TEST_SERVER"


def test_a_server_that_leads_elsewhere_is_not_followed():
    """A redirect, by which a server could make FlowAuth ask an inner address, is not followed."""
    asked = []

    def inner(handler):
        asked.append(handler.path)
        _send(document())(handler)

    with _api(inner) as hidden, _api(_send(b"", 302, Location=f"{hidden}/secret.json")) as address:
        with pytest.raises(Refused, match="302"):
            servers.fetch_document(address)
        assert asked == []


NO_ADDRESSES = [
    "file:///etc/passwd.json", "gopher://127.0.0.1/", "//127.0.0.1", "http://", "javascript:alert(1)", "http:///x.json",
    "http://x\x00y", "https://api.example/\u202e", "http://name:password@127.0.0.1/", "x" * 3000, "http://[::1",
    "http://127.0.0.1:99999/",
]  # fmt: skip


@pytest.mark.parametrize("url", [*NO_ADDRESSES, "", "http://a b"])
def test_what_is_no_address_is_refused(url):
    """Only http and https are asked, and what is no address is a sentence."""
    with pytest.raises(Refused) as refused:
        servers.fetch_document(url)
    assert refused.value.field == "document_url"
    assert "password@" not in refused.value.message


def test_what_is_no_address_is_not_kept(administrator, signed_in_as, database, server):
    """What is no address does not become a server's, so that no page links to it and no log holds a password."""
    browser = signed_in_as(administrator)
    form = {"csrf": browser.headers["X-CSRF-Token"], "longest_token_life_minutes": "60"}
    before = _counted(database)
    for url in NO_ADDRESSES:
        assert browser.patch(f"/admin/servers/{server.id}", json={"document_url": url}).status_code == 400, url
        new = {"name": "NEW", "scopes": ["run"], "longest_token_life_minutes": 60, "document_url": url}
        assert browser.post("/admin/servers", json=new).status_code == 400, url
        assert browser.post(f"/manage/servers/{server.id}", data={**form, "document_url": url}).status_code == 400, url
    with database.read() as session:
        assert servers.find(session, server.id).document_url is None
    assert _counted(database) == before


@pytest.mark.parametrize(
    "host", [
        "169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "2852039166",
        "0xa9.0xfe.0xa9.0xfe",        "100.100.100.200", "0.0.0.0", "[::]", "224.0.0.1",
    ],
)  # fmt: skip
def test_where_a_machine_finds_its_own_secrets_is_not_asked(host, monkeypatch):
    """Addresses at which clouds serve a machine its secrets are not asked, however they are written."""
    asked = []
    monkeypatch.setattr(servers, "_read", lambda *_: asked.append(host))
    with pytest.raises(Refused, match="no FlowAPI"):
        servers.fetch_document(f"http://{host}/latest/meta-data/iam.json")
    assert asked == []


def test_a_name_is_looked_up_once(monkeypatch):
    """What is asked is the address that was looked at: a name that leads elsewhere a moment later is no way in."""
    looked_up = []

    async def found(_, host, port, **__):
        looked_up.append(host)
        address = "127.0.0.1" if len(looked_up) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    seen = []

    def answer(handler):
        seen.append(handler.headers["Host"])
        _send(document())(handler)

    with _api(answer) as address:
        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", found)
        port = address.rpartition(":")[2]
        assert servers.read_document(servers.fetch_document(f"http://api.example:{port}")).audience == "TEST_SERVER"
    assert looked_up[0] == "api.example"
    assert seen == [f"api.example:{port}"]


def test_a_certificate_is_of_the_name_and_not_of_the_address(monkeypatch, tmp_path):
    """By https a server shows a certificate of the name that was asked for; one of another name is not believed."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("api.example")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(hours=1), [])
    made = made.add_extension(names, critical=False).add_extension(x509.BasicConstraints(True, 0), critical=True)
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both = tmp_path / "server.pem"
    both.write_bytes(private + pem)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(both)
    monkeypatch.setenv("SSL_CERT_FILE", str(both))

    async def found(_, __, port, **___):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", found)
    with _api(_send(document()), tls) as address:
        port = address.rpartition(":")[2]
        assert servers.read_document(servers.fetch_document(f"https://api.example:{port}")).audience == "TEST_SERVER"
        with pytest.raises(Refused, match="certificate"):
            servers.fetch_document(f"https://other.example:{port}")


def test_a_server_of_several_addresses_is_found_by_any(monkeypatch):
    """A name that stands for ::1 and 127.0.0.1, as localhost does, is read at the one that answers."""

    async def found(_, host, port, **__):
        assert host in ("api.example", "127.0.0.1", "::1")
        first = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))]
        return (first if host != "127.0.0.1" else []) + [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        ]

    with _api(_send(document())) as address:
        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", found)
        port = address.rpartition(":")[2]
        assert servers.read_document(servers.fetch_document(f"http://api.example:{port}")).audience == "TEST_SERVER"


def test_what_another_server_answers_is_not_shown(administrator, signed_in_as):
    """Of an address that is no FlowAPI's, nothing of what it answers is shown: FlowAuth is no window inside."""
    browser = signed_in_as(administrator)
    with _api(_send(b"the secret of another service", X_Secret="in a header")) as address:
        form = {
            "csrf": browser.headers["X-CSRF-Token"],
            "longest_token_life_minutes": "60",
            "document_url": f"{address}/x.json",
        }
        answer = browser.post("/manage/servers/new", data=form)
    assert answer.status_code == 400
    assert "secret" not in answer.text
    assert "in a header" not in answer.text


def test_a_server_that_sends_without_end_is_left():
    """A server that never stops sending, or sends a bomb, is left when it has sent too much."""

    def endless(handler):
        _send(b"")(handler)
        while True:
            handler.wfile.write(b" " * 1_000_000)

    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b" " * 1_000_000) for _ in range(100)) + packer.flush()
    for answer in (endless, _send(bomb, Content_Encoding="gzip")):
        with _api(answer) as address:
            began = time.monotonic()
            with pytest.raises(Refused, match=r"bytes|not JSON"):
                servers.read_document(servers.fetch_document(address))
            assert time.monotonic() - began < 10


def test_a_server_that_drips_is_left(monkeypatch):
    """A server that sends a little now and then does not keep FlowAuth waiting for ever."""
    monkeypatch.setattr(servers, "PATIENCE", 1)
    stop = threading.Event()

    def dripping(handler):
        _send(b"")(handler)
        while not stop.wait(0.2):
            handler.wfile.write(b" ")

    with _api(dripping) as address:
        began = time.monotonic()
        try:
            with pytest.raises(Refused) as refused:
                servers.fetch_document(address)
            assert refused.value.field == "document_url"
            assert time.monotonic() - began < 6
        finally:
            stop.set()
