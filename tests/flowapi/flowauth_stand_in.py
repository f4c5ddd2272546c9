import datetime
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from jwt.algorithms import RSAAlgorithm

from flowkit_jwt_generator.keys import key_id


class FlowAuthStandIn:
    """What FlowAuth publishes, served from memory: tests set what each address answers."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                stand_in.asked.append(self.path)
                status, body, headers = stand_in.answers.get(self.path, (404, b"", {}))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.keys_url, self.list_url = f"{self.url}/.well-known/jwks.json", f"{self.url}/revocations/TEST_SERVER"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def publish(self, *keys):
        self.answers["/.well-known/jwks.json"] = (200, key_set(*keys), {})

    def revoke(self, key, *jtis, **changes):
        self.answers["/revocations/TEST_SERVER"] = (200, signed_list(key, *jtis, **changes).encode(), {})

    def fail(self, status=500, body=b"", **headers):
        for path in ("/.well-known/jwks.json", "/revocations/TEST_SERVER"):
            self.answers[path] = (status, body, headers)


def key_set(*keys):
    told = [{**json.loads(RSAAlgorithm.to_jwk(k.public_key())), "kid": key_id(k.public_key())} for k in keys]
    return json.dumps({"keys": told}).encode()


def signed_list(key, *jtis, typ="revocations+jwt", **changes):
    now = int(datetime.datetime.now(datetime.UTC).timestamp())
    said = {"aud": "TEST_SERVER", "iat": now, "revoked": dict.fromkeys(jtis, now + 3600), **changes}
    said = {name: value for name, value in said.items() if value is not None}
    headers = {"kid": key_id(key.public_key()), "typ": typ}
    return jwt.encode(said, key, algorithm="RS256", headers=headers)
