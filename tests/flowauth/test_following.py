import datetime as dt
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import sqlalchemy as sa
from tests.flowauth.conftest import BOTH, on_sqlite

from flowauth.database import Database
from flowauth.services import following, roles, servers
from flowauth.services.limits import Limits
from flowauth.tables import AuditRecord, Role, Server

STORES = BOTH
SCOPES = ["get_result", "run", "admin3:flows:flows", "admin3:flows:daily_location"]


def document(audience="TEST_SERVER", scopes=SCOPES):
    token = {"type": "http", "x-audience": audience, "x-security-scopes": list(scopes)}
    return json.dumps({"components": {"securitySchemes": {"token": token}}}).encode()


@pytest.fixture
def flowapi():
    """What a FlowAPI answers for its document, set by the test; `asked` are the paths that were asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append(self.path)
            server.headers.append(dict(self.headers))
            status, body, headers = server.answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            for piece in body if isinstance(body, list) else [body]:
                try:
                    self.wfile.write(piece)
                except OSError:
                    return
                if isinstance(body, list):
                    time.sleep(0.1)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.asked, server.headers, server.answer = [], [], (200, document(), {})
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def followed(database, flowapi):
    """A server with an address, and a role on it that holds two of its scopes."""
    with database.write() as session:
        read = servers.read_document(document())
        server = servers.create(session, "tests", read, Limits(None, 1440), flowapi.url)
        session.flush()
        numbers = frozenset(scope.id for scope in server.scopes if scope.name in ("run", "admin3:flows:flows"))
        roles.create(session, "tests", server, roles.Definition("runner", numbers, frozenset(), Limits(None, 60)))
        return server.id


@pytest.fixture
def ask(database):
    """Ask the next server that is due, if there is one."""

    def once(seconds=0):
        due = following.claim(database, seconds)
        assert due is not None
        return following.ask(database, due)

    return once


def told(database, server_id):
    with database.read() as session:
        server = servers.find(session, server_id)
        return sorted(scope.name for scope in server.scopes), server.document_problem


def role_scopes(database):
    with database.read() as session:
        return sorted(scope.name for scope in session.scalars(sa.select(Role)).one().scopes)


def test_new_scopes_come_by_themselves(database, flowapi, followed, ask):
    """What the server can do since its upgrade is there to be given, and the audit log says what came."""
    flowapi.answer = (200, document(scopes=[*SCOPES, "get_qa_checks"]), {})
    assert ask() is None
    assert told(database, followed) == (sorted([*SCOPES, "get_qa_checks"]), None)
    assert flowapi.asked == ["/api/0/spec/openapi.json"]
    with database.read() as session:
        record = session.scalars(sa.select(AuditRecord).where(AuditRecord.action == "server.scopes")).one()
        assert (record.actor, record.after["added"]) == ("flowauth", ["get_qa_checks"])


def test_an_unchanged_document_leaves_no_trace(database, flowapi, followed, ask):
    """A document that says what is known moves the moment of reading alone, and writes no audit record."""
    with database.read() as session:
        before = session.scalar(sa.select(sa.func.count()).select_from(AuditRecord))
        read = servers.find(session, followed).document_read
    assert ask() is None
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(AuditRecord)) == before
        assert servers.find(session, followed).document_read > read


def test_scopes_that_no_role_holds_go_by_themselves(database, flowapi, followed, ask):
    """A scope that is gone and that no role holds is taken out."""
    flowapi.answer = (200, document(scopes=SCOPES[:3]), {})
    assert ask() is None
    assert told(database, followed) == (sorted(SCOPES[:3]), None)


def test_a_document_that_takes_from_roles_waits_for_an_administrator(database, flowapi, followed, ask):
    """Nothing is taken over, the server says which role would lose how much; an administrator's word settles it."""
    less = document(scopes=["get_result", "run", "something new"])
    flowapi.answer = (200, less, {})
    problem = ask()
    assert "'runner' 1" in problem
    assert told(database, followed) == (sorted(SCOPES), problem)
    assert role_scopes(database) == ["admin3:flows:flows", "run"]
    with database.write() as session:
        servers.follow(session, "ada", servers.find(session, followed), servers.read_document(less))
    assert told(database, followed) == (["get_result", "run", "something new"], None)
    assert role_scopes(database) == ["run"]


def test_a_problem_goes_when_the_server_is_as_before(database, flowapi, followed, ask):
    """Where the server gets its scopes back, the problem is gone with the next reading."""
    flowapi.answer = (200, document(scopes=["get_result"]), {})
    assert ask()
    flowapi.answer = (200, document(), {})
    assert ask() is None
    assert told(database, followed)[1] is None


@on_sqlite
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((500, b"", {}), "answered 500"),
        ((302, document(scopes=["other"]), {"Location": "/elsewhere"}), "answered 302"),
        ((200, b"<html>", {}), "not JSON"),
        ((200, b"[]", {}), "components.securitySchemes.token"),
        ((200, document(audience="OTHER_SERVER"), {}), "is of the server 'OTHER_SERVER'"),
        ((200, document(scopes=[]), {}), "x-security-scopes"),
        ((200, document(scopes=["x" * 513]), {}), "x-security-scopes"),
        ((200, b'"' + b"x" * 6_000_000 + b'"', {}), "far fewer than"),
        ((200, [b"{"] * 100, {}), "within"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_document_is_told_on_the_server(database, flowapi, followed, ask, monkeypatch, answer, said):
    """A failure is told on the server's page, changes nothing, follows no redirect, and is bounded in time."""
    monkeypatch.setattr(servers, "PATIENCE", 2)
    flowapi.answer = answer
    began = time.monotonic()
    assert said in ask()
    assert time.monotonic() - began < 4
    scopes, problem = told(database, followed)
    assert scopes == sorted(SCOPES)
    assert said in problem
    assert flowapi.asked == ["/api/0/spec/openapi.json"]


@on_sqlite
def test_a_packed_document_does_not_unfold(database, flowapi, followed, ask):
    """FlowAuth asks for a plain document, and does not unpack one that is packed all the same."""
    import gzip

    flowapi.answer = (200, gzip.compress(b" " * 50_000_000), {"Content-Encoding": "gzip"})
    assert "not JSON" in ask()
    assert flowapi.headers[0]["Accept-Encoding"] == "identity"


def test_a_server_that_is_away_is_told(database, followed, flowapi, ask):
    """A server that does not answer is told, and the one after it is asked all the same."""
    with database.write() as session:
        server = servers.find(session, followed)
        servers.change(session, "ada", server, Limits(None, 1440), "http://127.0.0.1:9")
        other = servers.read_document(document("SECOND_SERVER", ["run"]))
        second = servers.create(session, "tests", other, Limits(None, 1440), flowapi.url)
        session.flush()
        second = second.id
    flowapi.answer = (200, document("SECOND_SERVER", ["run", "get_result"]), {})
    assert "could not be read" in ask(60)
    assert ask(60) is None
    assert following.claim(database, 60) is None
    assert told(database, second)[0] == ["get_result", "run"]


def test_servers_without_an_address_are_not_asked(database, server):
    """A server whose document is uploaded is left alone."""
    assert following.claim(database, 0) is None


def test_an_address_that_changed_meanwhile_is_not_mixed_up(database, flowapi, followed):
    """What was read at an old address is not taken over after an administrator has set another, nor is its problem."""
    due = following.claim(database, 60)
    with database.write() as session:
        servers.change(session, "ada", servers.find(session, followed), Limits(None, 1440), flowapi.url + "/other")
    flowapi.answer = (200, document(scopes=[*SCOPES, "more"]), {})
    assert following.ask(database, due) is None
    flowapi.answer = (500, b"", {})
    assert following.ask(database, due)
    assert told(database, followed) == (sorted(SCOPES), None)
    assert following.claim(database, 60) is not None


def test_a_server_that_is_deleted_meanwhile_is_no_error(database, flowapi, followed):
    """A server that goes while its document is read is gone."""
    due = following.claim(database, 60)
    with database.write() as session:
        servers.delete(session, "ada", servers.find(session, followed))
    assert following.ask(database, due) is None


def test_two_flowauths_ask_once(settings, database, flowapi):
    """Each server is asked once in its time, however many processes and readers there are."""
    with database.write() as session:
        for number in range(12):
            read = servers.read_document(document(f"SERVER_{number}", ["run"]))
            servers.create(session, "tests", read, Limits(None, 1440), f"{flowapi.url}/{number}")
    databases = [database, Database(settings.db_uri)]

    def claims(number):
        claimed = []
        while (due := following.claim(databases[number % 2], 600)) is not None:
            claimed.append(due.server_id)
        return claimed

    with ThreadPoolExecutor(8) as pool:
        claimed = [server_id for claimed in pool.map(claims, range(8)) for server_id in claimed]
    databases[1].close()
    assert len(claimed) == 12
    assert len(set(claimed)) == 12


def test_the_background_follows_and_ends(database, flowapi, followed):
    """While FlowAuth runs, new scopes come without anybody asking; when it ends, nothing asks any more."""
    flowapi.answer = (200, document(scopes=[*SCOPES, "get_qa_checks"]), {})
    with following.following(database, 1):
        deadline = time.monotonic() + 10
        while "get_qa_checks" not in told(database, followed)[0] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "get_qa_checks" in told(database, followed)[0]
    deadline = time.monotonic() + 5
    while any(t.name.startswith("following-") for t in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.05)
    asked = len(flowapi.asked)
    time.sleep(1.5)
    assert len(flowapi.asked) == asked


def test_following_can_be_switched_off(database, flowapi, followed):
    """With FLOWAUTH_FOLLOW_SECONDS=0 no server is asked."""
    with following.following(database, 0):
        time.sleep(0.3)
    assert flowapi.asked == []
    with database.read() as session:
        assert session.scalars(sa.select(Server.document_requested)).one() is None


def test_a_server_is_asked_again_after_its_time(database, flowapi, followed, clock):
    """A server is not asked again before its time has passed, and is after."""
    assert following.claim(database, 300) is not None
    assert following.claim(database, 300) is None
    clock(seconds=301)
    due = following.claim(database, 300)
    assert due is not None
    assert due.name == "TEST_SERVER"
    with database.read() as session:
        asked = servers.find(session, followed).document_requested
    assert dt.datetime.now(dt.UTC) - asked < dt.timedelta(seconds=30)
