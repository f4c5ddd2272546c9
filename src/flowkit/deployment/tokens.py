"""Tokens for a deployment's API."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from flowkit.deployment import flowauth
from flowkit.deployment.directory import Deployment
from flowkit.deployment.settings import SETTINGS
from flowkit.errors import DeploymentError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


def scopes(deployment: Deployment) -> list[str]:
    """What a token for the deployment's API can permit, as the API's document says it."""
    from flowapi.authorisation import scopes_of_schemas
    from flowmachine.catalogue import schemas

    return scopes_of_schemas(schemas(deployment.units()))


def token(deployment: Deployment, user: str, roles: Sequence[str] = (), days: float = 1) -> str:
    """A token for the deployment's API; without roles, one that allows everything.

    Raises DeploymentError for a role that the settings do not name.
    """
    if unknown := [role for role in roles if role not in deployment.roles]:
        names = ", ".join(deployment.roles) or "none"
        raise DeploymentError(f"There is no role {unknown[0]!r} in {SETTINGS}; it names: {names}.")
    # A wrong key is reported before a wrong lake.
    _ = deployment.signing_key
    from flowkit_jwt_generator.scopes import matching

    every = scopes(deployment)
    granted = {role: matching(every, deployment.roles[role]) for role in roles}
    return signed(deployment, user, granted or {"universal_role": every}, dt.timedelta(days=days))


def signed(deployment: Deployment, user: str, roles: Mapping[str, Sequence[str]], life: dt.timedelta) -> str:
    """A token with roles of the given scopes, listed by the deployment's FlowAuth if it has one."""
    from flowkit_jwt_generator import generate_token

    def sign(key: "RSAPrivateKey") -> str:
        return generate_token(
            flowapi_identifier=deployment.name, username=user, private_key=key, lifetime=life, roles=roles
        )

    return _listed(deployment, user, sign) if are_listed(deployment) else sign(deployment.signing_key)


def are_listed(deployment: Deployment) -> bool:
    """Whether the deployment's FlowAuth lists its tokens, so that they can be revoked."""
    return deployment.has_flowauth and flowauth.is_started(deployment)


def revoke(deployment: Deployment, token: str, because: str) -> None:
    """End a token before its time, if FlowAuth lists it."""
    import jwt

    from flowauth.services import tokens
    from flowauth.tables import Token

    try:
        number = jwt.decode(token, options={"verify_signature": False}).get("jti")
    except jwt.InvalidTokenError:
        return
    if number is None or not are_listed(deployment):
        return
    with flowauth.database(deployment) as database, database.write() as session:
        tokens.end(session, "flowkit up", Token.jti == number, because, dt.datetime.now(dt.UTC))


def _listed(deployment: Deployment, user: str, sign: Callable[["RSAPrivateKey"], str]) -> str:
    """A token that FlowAuth signs and lists, so that its key stays published while the token lives."""
    import sqlalchemy as sa

    from flowauth.errors import Refused
    from flowauth.services import keys, tokens
    from flowauth.tables import Server

    environment = flowauth.environment(deployment)
    try:
        with flowauth.database(deployment) as database, database.write() as session:
            vault = keys.Vault(environment["FLOWAUTH_FERNET_KEY"])
            keys.admit(session, vault, environment["PRIVATE_JWT_SIGNING_KEY"])
            kid, key = keys.signing(session, vault)
            text = sign(key)
            server = session.scalar(sa.select(Server).where(Server.name == deployment.name))
            if server is not None:
                tokens.note(session, "flowkit token", server, user, text, kid)
    except Refused as refused:
        raise DeploymentError(refused.message) from None
    return text
