"""Making connections: addresses, tokens and certificates."""

import pickle
import ssl
import subprocess
import sys
import traceback
import warnings
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.flowclient.conftest import Answer

import flowclient
from flowclient import errors
from flowclient.errors import FlowclientConnectionError, FlowclientTokenError, FlowclientUnreachableError
from flowkit_base.addresses import free_port


def test_connecting_sends_nothing_and_shows_no_token(face, api, make_token):
    """A connection is made without a request, shows user, URL and version, and keeps the token to itself."""
    token = make_token(sub="ANALYST")
    connection = face.connect(url=f"{api.url}/", token=token, api_version=1)
    assert repr(connection) == f"ANALYST@{api.url} v1"
    assert (connection.url, connection.user, connection.token) == (api.url, "ANALYST", token)
    assert connection.api_version == 1
    assert str(connection.session.base_url) == f"{api.url}/api/1/"
    assert api.asked == []


def test_a_token_may_be_a_file(face, api, make_token, tmp_path):
    """The token may be the path of a file that holds it, as text or as a path, with space around it."""
    token = make_token(sub="ANALYST")
    file = tmp_path / "a.b.c"
    file.write_text(f"\n {token} \n")
    for given in (token, f" {token}\n", file, str(file)):
        assert face.connect(url=api.url, token=given).token == token


@pytest.mark.parametrize("bad", ["", "x.y", "x.y.z", "secret" * 2000, "no-such-file", "\0", "e30.W10.e30"])
def test_a_bad_token_is_refused_and_not_shown(face, api, bad):
    """What is neither a token nor a file that holds one is refused, without repeating what may be a secret."""
    with pytest.raises(FlowclientTokenError, match="Unable to decode token") as caught:
        face.connect(url=api.url, token=bad)
    assert not bad or bad not in str(caught.value)


def test_a_file_without_a_token_is_named(face, api, tmp_path):
    """A file that holds no token is named in the message; what it holds is not."""
    file = tmp_path / "token.txt"
    file.write_text("something secret")
    with pytest.raises(FlowclientTokenError, match=r"token\.txt") as caught:
        face.connect(url=api.url, token=str(file))
    assert "something secret" not in str(caught.value)


@pytest.mark.parametrize("claims", [{}, {"sub": ""}, {"identity": "x"}])
def test_a_token_without_a_user_is_refused(face, api, make_token, claims):
    """A token that does not say whose it is is refused."""
    with pytest.raises(FlowclientConnectionError, match="does not contain user identity"):
        face.connect(url=api.url, token=make_token(**claims))


@pytest.mark.parametrize("url", ["localhost:9090", "ftp://host", "", "https://", "http://[::1", "/api"])
def test_a_bad_url_is_refused(face, make_token, url):
    """A URL that is none, or is not for HTTP, is refused by name."""
    with pytest.raises(FlowclientConnectionError, match="url: "):
        face.connect(url=url, token=make_token(sub="A"))


def test_an_open_link_is_warned_of(face, make_token):
    """Plain http to another machine is warned of, where connect was called; https and loopback are not."""
    token = make_token(sub="A")
    with pytest.warns(UserWarning, match="not secure"):
        face.connect(url="http://flowapi.example.org", token=token)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for url in ("https://flowapi.example.org", "http://localhost:9090", "http://127.0.0.1", "http://[::1]:9090"):
            face.connect(url=url, token=token)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """The path of a self-signed certificate of 127.0.0.1 with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def secure_api(serve, certificate):
    """A running API with a self-signed certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    api = serve(context)
    api.url = api.url.replace("http:", "https:")
    return api


def test_a_self_signed_server_is_trusted_by_its_file_or_by_wish(face, secure_api, certificate, make_token, answer):
    """A server with a certificate of its own is reached with the file, a context or False, without warnings."""
    secure_api.on("GET", "/api/0/available_dates", answer(200, {"available_dates": {"calls": []}}))
    context = ssl.create_default_context(cafile=str(certificate))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for trusted in (certificate, str(certificate), context, False):
            connection = face.connect(url=secure_api.url, token=make_token(sub="A"), ssl_certificate=trusted)
            assert face.ask(face.client.get_available_dates(connection=connection)) == {"calls": []}
            face.ask(connection.close())


@pytest.mark.parametrize("roots", [True, None, ""])
def test_a_self_signed_server_is_refused_otherwise(face, secure_api, make_token, roots):
    """With the usual roots a self-signed server is refused, and the message leads to ssl_certificate."""
    connection = face.connect(url=secure_api.url, token=make_token(sub="A"), ssl_certificate=roots)
    with pytest.raises(FlowclientUnreachableError, match="ssl_certificate"):
        face.ask(face.client.get_available_dates(connection=connection))
    assert secure_api.asked == []


def test_a_certificate_file_that_cannot_be_used_is_named(face, make_token, tmp_path):
    """A certificate file that is missing, or is none, is named."""
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    for path, reason in ((tmp_path / "absent.pem", "does not exist"), (bad, "cannot be used")):
        with pytest.raises(FlowclientConnectionError, match=f"ssl_certificate: the file .*{path.name} {reason}"):
            face.connect(url="https://127.0.0.1:1", token=make_token(sub="A"), ssl_certificate=path)


def test_every_error_is_caught_by_the_old_name_and_survives_pickling():
    """Each exception is a FlowclientConnectionError and comes back whole from another process."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) > 5
    for kind in kinds:
        assert issubclass(kind, FlowclientConnectionError)
        error = pickle.loads(pickle.dumps(kind("Text.", status_code=404, missing_scopes=["a:b:c"])))
        assert (type(error), str(error), error.status_code, error.missing_scopes) == (kind, "Text.", 404, ["a:b:c"])
    assert issubclass(errors.FlowclientNotFoundError, FileNotFoundError)


def test_connections_close(make_token):
    """A connection used as a context manager is closed after it."""
    with flowclient.connect(url="https://127.0.0.1:1", token=make_token(sub="A")) as connection:
        assert not connection.session.is_closed
    assert connection.session.is_closed


def test_importing_is_cheap():
    """Importing flowclient loads neither pandas nor geopandas nor tqdm, nor any of the server's packages."""
    heavy = ("pandas", "geopandas", "tqdm", "flowmachine", "flowdb", "flowapi", "duckdb", "ibis")
    script = f"import sys, flowclient; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_refusal_is_short(face, api, connection):
    """A refusal, or no answer, comes from where the analyst called, not from the insides of an HTTP client."""
    api.on("GET", "/api/0/available_dates", Answer(403, {"msg": "No."}))
    nobody = face.connect(url=f"http://127.0.0.1:{free_port()}", token=connection.token)
    for asked, told in ((connection, "No."), (nobody, "check the url given to connect")):
        with pytest.raises(FlowclientConnectionError, match=told) as refused:
            face.ask(face.client.get_available_dates(connection=asked))
        text = "".join(traceback.format_exception(refused.value))
        assert text.count("Traceback") == 1
        assert "httpx" not in text
        assert "exchange.py" not in text
    face.ask(nobody.close())


def test_a_query_is_shown_on_a_line(connection):
    """A query of many days is shown in a line: its kind, whether it was run, and its connection."""
    days = [{"query_kind": "daily_location", "date": f"2016-01-{n:02}", "method": "last"} for n in range(1, 31)]
    query = connection.make_api_query({"query_kind": "modal_location", "locations": days})
    assert "modal_location" in repr(query)
    assert "not run" in repr(query)
    assert len(repr(query)) < 400
