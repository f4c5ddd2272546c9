"""The revocation list: which tokens of a server have ended before their time, signed as tokens are."""

import datetime as dt
from typing import Any

import jwt
import sqlalchemy as sa
from sqlalchemy.orm import Session

from flowauth.services import keys
from flowauth.tables import Server, Token
from flowkit_jwt_generator.published import REVOCATIONS_TYPE


def signed_list(session: Session, vault: keys.Vault, server: Server) -> str:
    """The list of a server as a JWS: `aud` the server, `iat` when, `revoked` the ends of its tokens by their `jti`.

    Tokens that have expired by themselves are left out. FlowAPI fetches it, or reads it from a file if it has no
    connection to FlowAuth.
    """
    now = dt.datetime.now(dt.UTC)
    ended = sa.select(Token.jti, Token.expiry).where(
        Token.server_id == server.id, Token.revoked.is_not(None), Token.expiry > now
    )
    revoked = {jti: int(expiry.timestamp()) for jti, expiry in session.execute(ended.order_by(Token.jti)).tuples()}
    claims: dict[str, Any] = {"aud": server.name, "iat": int(now.timestamp()), "revoked": revoked}
    kid, private = keys.signing(session, vault)
    return jwt.encode(claims, private, algorithm="RS256", headers={"kid": kid, "typ": REVOCATIONS_TYPE})
