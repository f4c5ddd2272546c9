import http.server
import json
import subprocess
import sys
import threading

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from flowkit_jwt_generator import (
    ServerSpecError,
    get_all_claims_from_flowapi,
    get_audience_from_flowapi,
    verify_token,
)

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
SCOPES = ["admin3:flows:flows", "get_result", "run"]
DESCRIPTION = {"components": {"securitySchemes": {"token": {"x-audience": "A_SERVER", "x-security-scopes": SCOPES}}}}
ANSWERS = {
    "/api/0/spec/openapi.json": (200, json.dumps(DESCRIPTION)),
    "/down/api/0/spec/openapi.json": (503, '{"msg": "FlowMachine is down."}'),
    "/else/api/0/spec/openapi.json": (200, "<html>"),
    "/list/api/0/spec/openapi.json": (200, "[]"),
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = ANSWERS.get(self.path, (404, ""))
        self.server.asked.append(self.path)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.asked = []
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        httpd.url = f"http://127.0.0.1:{httpd.server_port}"
        yield httpd
        httpd.shutdown()
        thread.join()


def generate_jwt(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "flowkit_jwt_generator", *arguments],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_scopes_and_name_are_read_from_the_server_once(server):
    """Scopes and audience come from the server's description, which is asked for once."""
    assert get_all_claims_from_flowapi(server.url + "/") == SCOPES
    assert get_audience_from_flowapi(server.url + "/") == "A_SERVER"
    assert server.asked == ["/api/0/spec/openapi.json"]


def test_the_command_prints_a_token_alone(server):
    """The command prints one line: a token with every scope in one role, for the server it asked."""
    code, out, err = generate_jwt(
        "--username", "ME", "--private-key", PEM, "--lifetime", "2", "--flowapi-url", server.url
    )
    assert (code, err) == (0, "")
    claims = verify_token(out.removesuffix("\n"), [KEY.public_key()], "A_SERVER")
    assert claims.subject == "ME"
    assert claims.roles == {"universal_role": frozenset(SCOPES)}


def test_the_key_may_come_from_the_environment(server):
    """The private key need not stand on the command line."""
    code, out, _ = generate_jwt("--username", "ME", "--lifetime", "2", "-u", server.url, PRIVATE_JWT_SIGNING_KEY=PEM)
    assert code == 0
    assert verify_token(out.strip(), [KEY.public_key()], "A_SERVER").subject == "ME"


@pytest.mark.parametrize(
    ("key", "path", "says"),
    [
        ("nonsense", "", "--private-key: Failed to load key."),
        (PEM, "/down", "FlowMachine is down."),
        (PEM, "/else", "does not describe a FlowAPI server"),
        (PEM, "/gone", "answers 404"),
    ],
    ids=["key", "down", "else", "gone"],
)
def test_what_goes_wrong_is_one_sentence(server, key, path, says):
    """A wrong key or server ends with exit code 1 and one sentence, without a traceback."""
    code, out, err = generate_jwt("--username", "ME", "--private-key", key, "--lifetime", "2", "-u", server.url + path)
    assert (code, out) == (1, "")
    assert says in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "/list"])
def test_a_server_that_is_not_there_is_named(server, url):
    """A URL that leads nowhere is an error that repeats it."""
    target = server.url + url if url.startswith("/") else url
    with pytest.raises(ServerSpecError, match=url):
        get_all_claims_from_flowapi(target)


def test_missing_options_are_wrong_usage(server):
    """Leaving out an option is wrong usage: exit code 2, and the option is named."""
    code, _, err = generate_jwt("--username", "ME", "--private-key", PEM, "-u", server.url)
    assert code == 2
    assert "--lifetime" in err
