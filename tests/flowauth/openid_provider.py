"""An OpenID Connect provider as a process of its own, made with Authlib's server side; it can be told to lie.

`python openid_provider.py PORT` listens on loopback. Whoever comes to /authorize is signed in there as the person who
was told last: POST /tell takes JSON with `sub`, `claims` (what the ID token says otherwise), `without` (what it does
not say), `sign` (how it is signed: "foreign", "none", "secret", "rotate"), `refuse` (an error for /authorize), `broken`
(what the token endpoint answers instead), `asks` (show a page on which people say who they are, or refuse), `back` (the
address to which people are led back).
"""

import json
import os
import sys
import time
from types import SimpleNamespace
from urllib.parse import urlencode

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import uvicorn
from authlib.oauth2 import AuthorizationServer, OAuth2Error
from authlib.oauth2.rfc6749 import ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT, SECRET = "flowauth client", "a secret: of %the client"
PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 0
ISSUER = f"http://127.0.0.1:{PORT}"
BACK = "http://localhost:9091/sign-in/provider"
NOTHING = {"sub": "1001", "claims": {}, "without": [], "sign": None, "refuse": None, "broken": None}
NOTHING |= {"asks": False, "back": BACK}
ASKS = """<!doctype html><html lang="en"><title>Sign in</title><h1>Your organisation</h1><form method="post">
<label>Number <input name="sub"></label><button>Sign in</button><button name="refuse" value="yes">Refuse</button></form>
"""
told = dict(NOTHING)
asked: list[dict] = []
codes: dict[str, SimpleNamespace] = {}
keys = [RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})]


class Client(ClientMixin):
    """FlowAuth, as it is registered here."""

    def get_client_id(self):
        return CLIENT

    def get_default_redirect_uri(self):
        return None

    def get_allowed_scope(self, scope):
        return "openid" if "openid" in scope.split() else ""

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri == told["back"]

    def check_client_secret(self, client_secret):
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method, endpoint):
        return method == "client_secret_basic"

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type == "authorization_code"


class Sent(OAuth2Request):
    """A request as Authlib reads it."""

    def __init__(self, request: Request, form: dict):
        super().__init__(request.method, str(request.url), headers=dict(request.headers.items()))
        self.headers = {"Authorization": request.headers.get("authorization", "")}
        self._given = form
        self.payload = BasicOAuth2Payload({**request.query_params, **form})

    @property
    def args(self):
        return self.payload.data

    @property
    def form(self):
        return self._given


class Server(AuthorizationServer):
    """Authlib's authorization server on Starlette."""

    def query_client(self, client_id):
        return Client() if client_id == CLIENT else None

    def save_token(self, token, request):
        pass

    def send_signal(self, name, *args, **kwargs):
        pass

    def create_oauth2_request(self, request):
        return request

    def handle_response(self, status, body, headers):
        if isinstance(body, dict):
            return JSONResponse(body, status, dict(headers))
        return Response(body, status, dict(headers))


class Codes(AuthorizationCodeGrant):
    """Codes that count once."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]  # noqa: RUF012

    def save_authorization_code(self, code, request):
        data = request.payload.data
        codes[code] = SimpleNamespace(
            code=code,
            code_challenge=data.get("code_challenge"),
            code_challenge_method=data.get("code_challenge_method"),
            get_redirect_uri=lambda: data["redirect_uri"],
            get_scope=lambda: "openid",
            get_nonce=lambda: data.get("nonce"),
            get_auth_time=lambda: int(time.time()),
            get_acr=lambda: None,
            get_amr=lambda: ["pwd"],
        )

    def query_authorization_code(self, code, client):
        return codes.get(code)

    def delete_authorization_code(self, authorization_code):
        del codes[authorization_code.code]

    def authenticate_user(self, authorization_code):
        return SimpleNamespace(id=told["sub"])


class IdToken(OpenIDCode):
    """ID tokens, as true as was told."""

    def exists_nonce(self, nonce, request):
        return False

    def encode_id_token(self, token, request):
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": [CLIENT], "iat": now, "exp": now + 300, "email": "ann@example.org"}
        claims |= self.get_authorization_code_claims(request.authorization_code)
        claims |= UserInfo(sub=request.user.id) | told["claims"]
        claims = {name: value for name, value in claims.items() if name not in told["without"]}
        header = {"alg": "RS256", "kid": keys[-1].kid}
        if told["sign"] == "none":
            return jwt.encode({"alg": "none"}, claims, OctKey.import_key("x" * 32), ["none"])
        if told["sign"] == "secret":
            public = keys[-1].as_pem(private=False)
            return jwt.encode({**header, "alg": "HS256"}, claims, OctKey.import_key(public.hex()), ["HS256"])
        key = RSAKey.generate_key(2048) if told["sign"] == "foreign" else keys[-1]
        return jwt.encode(header, claims, key, ["RS256"])


server = Server()
server.register_grant(Codes, [CodeChallenge(required=True), IdToken(require_nonce=True)])
server.register_token_generator(
    "default", lambda **_: {"access_token": "a" * 40, "token_type": "Bearer", "scope": "openid"}
)


async def authorize(request: Request) -> Response:
    """Sign in whoever comes, and send them back."""
    sent = Sent(request, {})
    # Authlib reads what is asked for; the form only says by whom.
    sent.method = "GET"
    form = await request.form()
    told.update({"sub": str(form["sub"])} if "sub" in form else {})
    asked.append(dict(request.query_params))
    try:
        grant = server.get_consent_grant(sent, SimpleNamespace(id=told["sub"]))
    except OAuth2Error as error:
        return server.handle_error_response(sent, error)
    if told["asks"] and request.method == "GET":
        return HTMLResponse(ASKS)
    refuse = "access_denied" if "refuse" in form else told["refuse"]
    if refuse:
        query = urlencode({"error": refuse, "state": request.query_params["state"]})
        return RedirectResponse(f"{request.query_params['redirect_uri']}?{query}", 302)
    return server.create_authorization_response(sent, SimpleNamespace(id=told["sub"]), grant)


async def token(request: Request) -> Response:
    """Change a code for an ID token."""
    if told["broken"] is not None:
        return PlainTextResponse(told["broken"], 200)
    return server.create_token_response(Sent(request, dict(await request.form())))


async def configuration(request: Request) -> Response:
    """What the provider tells of itself."""
    metadata = {
        "issuer": told.get("issuer", ISSUER),
        "authorization_endpoint": f"{ISSUER}/authorize",
        "token_endpoint": told.get("token_endpoint", f"{ISSUER}/token"),
        "jwks_uri": f"{ISSUER}/keys",
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    }
    return JSONResponse(metadata)


async def key_set(request: Request) -> Response:
    """The public keys."""
    return JSONResponse(KeySet([keys[-1]]).as_dict(private=False))


async def tell(request: Request) -> Response:
    """Be told what to say; give what was asked."""
    told.clear()
    told.update(NOTHING | json.loads(await request.body()))
    if told["sign"] == "rotate":
        keys.append(RSAKey.generate_key(2048, {"kid": f"key {len(keys)}", "use": "sig"}))
    return JSONResponse(asked)


app = Starlette(
    routes=[
        Route("/.well-known/openid-configuration", configuration),
        Route("/authorize", authorize, methods=["GET", "POST"]),
        Route("/token", token, methods=["POST"]),
        Route("/keys", key_set),
        Route("/tell", tell, methods=["POST"]),
    ]
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
