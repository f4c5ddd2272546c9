"""The JSON API: FlowKit's routes with their bodies, codes and errors, and those that FlowKit did not have.

Somebody signs in with `POST /signin`; every write then carries the value of the cookie `X-CSRF` in the header
`X-CSRF-Token`. FlowKit answers 401 where somebody may not do a thing, and so do its routes here; the others say 403.
"""

import datetime as dt
import importlib.resources
import json
from collections.abc import Callable, Coroutine, Sequence
from functools import cache
from importlib.metadata import version as version_of
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.openapi.docs import get_redoc_html
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session, joinedload, selectinload
from starlette.responses import JSONResponse, Response

from flowauth import access
from flowauth.access import LARGEST_NUMBER, Administrator, Id, KeyId, MayChoose, MaySetUp, SignedIn, SignedInAtLeast
from flowauth.bodies import (
    ROWS,
    Abilities,
    After,
    Allowed,
    Chain,
    Codes,
    CodesConfirmed,
    Confirmation,
    Confirmed,
    Credentials,
    Differing,
    Done,
    Ended,
    Flags,
    KeyTold,
    Member,
    Most,
    NewDocument,
    NewKey,
    NewRole,
    NewServer,
    NewToken,
    NewUser,
    Off,
    Passwords,
    Proposed,
    PublicKey,
    Recorded,
    Renewal,
    Revoked,
    RoleChange,
    RoleListed,
    RoleOfMine,
    RoleShort,
    RoleTold,
    ScopeTold,
    ServerChange,
    ServerListed,
    ServerName,
    SignedOut,
    TimeLimits,
    TokenGiven,
    TokenTold,
    TwoFactorEnabled,
    TwoFactorRequired,
    UserChange,
    UserListed,
    UserSaved,
    UserTold,
    Version,
    Whole,
    Withdrawn,
    Words,
)
from flowauth.errors import NameTaken, NotAllowed, NotThere, Refused
from flowauth.pages.overview import facts_of, pairs
from flowauth.services import audit, keys, passwords, people, roles, servers, sign_in, tokens, two_factor
from flowauth.services.limits import Limits
from flowauth.services.sign_in import Person
from flowauth.services.throttle import address_of
from flowauth.tables import (
    AuditRecord,
    Role,
    Scope,
    Server,
    SigningKey,
    Token,
    TwoFactor,
    User,
    scopes_in_role,
    users_with_roles,
)

DESCRIPTION = """\
People, servers, roles and tokens. `POST /signin` gives two cookies; every write carries the value of the cookie
`X-CSRF` in the header `X-CSRF-Token`. What is refused is told as `{"message", "code", "bad_field"?}`.

A token is told once, when it is made: nobody, FlowAuth included, can read it again.
"""


class FlowKitRoute(APIRoute):
    """A route that FlowKit has: where somebody may not do a thing it says 401, and it tells a name that is taken so."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give what answers a request."""
        answer = super().get_route_handler()

        async def as_flowkit(request: Request) -> Response:
            try:
                return await answer(request)
            except (access.ChooseFirst, access.SetUpFirst):
                raise
            except NotAllowed as refused:
                refused.status = 401
                raise
            except NameTaken as refused:
                told = json.loads(bytes(access.json_refusal(refused).body))
                told |= {"status": refused.status, "statusText": "Name already exists"}
                return JSONResponse(told, status_code=refused.status)

        return as_flowkit


_flowkit = APIRouter(route_class=FlowKitRoute)
_own = APIRouter()


# Signing in, and one's own account


@_flowkit.post("/signin", tags=["sign-in"], response_model=Flags)
def enter(request: Request, asked: Credentials) -> Response:
    """Sign in; 400 with `need_two_factor` where the code of the second factor is wanted as well."""
    state, device = request.app.state, access.device_cookie(request)
    address = address_of(request, state.settings)
    with state.database.write() as session:
        cookie, begun = sign_in.begin(session, state.settings, asked.username, asked.password, address, device=device)
        if not begun.complete and not asked.two_factor_code:
            sign_in.end(session, cookie)
            told = {"message": "The code of your authenticator app is wanted.", "code": 400, "need_two_factor": True}
            return JSONResponse(told | {"bad_field": "two_factor_code"}, status_code=400)
        if not begun.complete:
            try:
                cookie, begun = sign_in.give_code(
                    session, state.vault, state.settings, begun, asked.two_factor_code or "", address, device=device
                )
            except Refused as refused:
                refused.field = "two_factor_code"
                raise
        # Who was signed in here before is so no more.
        sign_in.end(session, access.session_cookie(request))
        person = sign_in.who(session, state.settings, cookie)
        response = JSONResponse(_flags(person).model_dump(exclude_defaults=True))
        sign_in.remember_device(response, state.settings, person.user, device)
    access.keep_cookie(request, cookie)
    return response


@_flowkit.get("/is_signed_in", tags=["sign-in"], response_model_exclude_defaults=True)
def is_signed_in(person: SignedInAtLeast) -> Flags:
    """Tell who is signed in."""
    return _flags(person)


@_flowkit.get("/signout", tags=["sign-in"], response_model=SignedOut)
def leave(request: Request, person: SignedInAtLeast) -> Response:
    """Sign out."""
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise NotAllowed("Another site sent this; open FlowAuth itself and try again.")
    with request.app.state.database.write() as session:
        sign_in.end(session, access.session_cookie(request))
    response = JSONResponse({"logged_in": False})
    access.drop_cookie(response, request.app.state.settings)
    return response


@_flowkit.get("/version", tags=["sign-in"])
def version() -> Version:
    """Tell which FlowAuth this is."""
    return Version(version=version_of("flowkit"))


@_flowkit.patch("/user/password", tags=["account"])
def change_password(request: Request, person: MayChoose, asked: Passwords) -> Done:
    """Change one's own password, and sign out everywhere else."""
    state = request.app.state
    access.confirm(request, person, asked.password, "password")
    try:
        with state.database.write() as session:
            cookie = sign_in.change_password(session, person, asked.newPassword)
    except Refused as refused:
        refused.field = "newPassword"
        raise
    access.keep_cookie(request, cookie)
    return Done()


@_flowkit.post("/user/enable_two_factor", tags=["account"])
def propose_two_factor(request: Request, person: MaySetUp) -> Proposed:
    """Propose a second factor; it is stored when it is confirmed."""
    state = request.app.state
    made = two_factor.propose(state.vault, state.settings, person.user)
    return Proposed(
        provisioning_url=made.provisioning_url,
        secret=made.secret,
        issuer=state.settings.flowauth_two_factor_issuer,
        backup_codes=list(made.backup_codes),
        backup_codes_signature=made.signed,
    )


@_flowkit.post("/user/confirm_two_factor", tags=["account"])
def confirm_two_factor(request: Request, person: MaySetUp, asked: Confirmed) -> TwoFactorEnabled:
    """Store a proposed second factor, by a code of it."""
    state, signed = request.app.state, asked.backup_codes_signature
    fields = {"code": "two_factor_code", "signed": "backup_codes_signature", "present": "present_code"}
    try:
        proposal = two_factor.proposed(state.vault, state.settings, person.user, signed)
        if proposal.secret != asked.secret:
            raise Refused("The secret is not the one that was proposed; begin anew.", "secret")
        if not sign_in.is_fresh(person):
            access.confirm(request, person, asked.password, "password")
        with state.database.write() as session:
            user = people.find(session, person.user.id)
            two_factor.enable(
                session, state.vault, state.settings, user, signed, asked.two_factor_code, present=asked.present_code
            )
            cookie = sign_in.rotate(session, person)
    except Refused as refused:
        refused.field = fields.get(refused.field or "", refused.field)
        raise
    access.keep_cookie(request, cookie)
    return TwoFactorEnabled(two_factor_enabled=True)


@_flowkit.post("/user/disable_two_factor", tags=["account"])
def disable_two_factor(request: Request, person: SignedIn, asked: Off) -> TwoFactorEnabled:
    """Take one's second factor away, by the password and a code."""
    state = request.app.state
    access.confirm(request, person, asked.password, "password")
    try:
        with state.database.write() as session:
            user = people.find(session, person.user.id)
            two_factor.disable(session, state.vault, state.settings, user, asked.two_factor_code)
    except Refused as refused:
        refused.field = "two_factor_code" if refused.field == "code" else refused.field
        raise
    return TwoFactorEnabled(two_factor_enabled=False)


@_flowkit.get("/user/generate_two_factor_backups", tags=["account"])
def propose_backups(request: Request, person: SignedIn) -> Codes:
    """Propose new backup codes; they count when they are confirmed."""
    state = request.app.state
    if not people.has_two_factor(person.user):
        raise Refused("There are backup codes only for two-factor; set it up first.")
    codes, signed = two_factor.propose_backup_codes(state.vault, state.settings, person.user)
    return Codes(backup_codes=list(codes), backup_codes_signature=signed)


@_flowkit.post("/user/generate_two_factor_backups", tags=["account"])
def confirm_backups(request: Request, person: SignedIn, asked: CodesConfirmed) -> TwoFactorEnabled:
    """Take new backup codes in place of the old ones, by the password."""
    state = request.app.state
    access.confirm(request, person, asked.password, "password")
    try:
        with state.database.write() as session:
            user = people.find(session, person.user.id)
            two_factor.take_backup_codes(session, state.vault, state.settings, user, asked.backup_codes_signature)
    except Refused as refused:
        refused.field = "backup_codes_signature" if refused.field == "signed" else refused.field
        raise
    return TwoFactorEnabled(two_factor_enabled=True)


@_flowkit.get("/user/two_factor_required", tags=["account"])
def two_factor_required(request: Request, person: SignedInAtLeast) -> TwoFactorRequired:
    """Tell whether a second factor is required of oneself."""
    state = request.app.state
    with state.database.read() as session:
        user = people.find(session, person.user.id)
        needed = people.needs_two_factor(user, state.settings.flowauth_require_two_factor)
    return TwoFactorRequired(require_two_factor=needed)


@_flowkit.get("/user/two_factor_active", tags=["account"])
def two_factor_active(person: SignedInAtLeast) -> TwoFactorEnabled:
    """Tell whether one has set a second factor up."""
    return TwoFactorEnabled(two_factor_enabled=people.has_two_factor(person.user))


# Tokens


@_flowkit.get("/user/roles/server/{server_id}", tags=["tokens"])
def my_roles(request: Request, server_id: Id, person: SignedIn) -> list[RoleOfMine]:
    """List one's own roles on a server, for the form of a token."""
    with request.app.state.database.read() as session:
        held = (
            sa.select(Role)
            .join(Role.users)
            .where(User.id == person.user.id, Role.server_id == server_id)
            .options(selectinload(Role.scopes))
            .order_by(Role.name)
        )
        return [
            RoleOfMine(
                id=role.id,
                name=role.name,
                server=role.server_id,
                scopes=sorted(scope.id for scope in role.scopes),
                scope_names=sorted(scope.name for scope in role.scopes if scope.enabled),
                users=[person.user.id],
                latest_token_expiry=role.latest_token_expiry,
                longest_token_life_minutes=role.longest_token_life_minutes,
            )
            for role in session.scalars(held)
        ]


@_flowkit.get("/tokens/servers", tags=["tokens"])
def my_servers(request: Request, person: SignedIn) -> list[ServerName]:
    """List the servers on which one holds a role."""
    with request.app.state.database.read() as session:
        held = tokens.servers_of(session, people.find(session, person.user.id))
        return [ServerName(id=server.id, server_name=server.name) for server in held]


@_flowkit.get("/tokens/servers/{server_id}", tags=["tokens"])
def my_server(request: Request, server_id: Id, person: SignedIn) -> Allowed:
    """Tell what one's tokens for a server can hold, and until when they can live at the most."""
    now = dt.datetime.now(dt.UTC)
    with request.app.state.database.read() as session:
        server, held = tokens.at(session, people.find(session, person.user.id), server_id)
        allowed = (
            sa.select(Scope.name)
            .join(scopes_in_role, scopes_in_role.c.scope_id == Scope.id)
            .where(
                scopes_in_role.c.role_id.in_([role.id for role in held]), Scope.server_id == server_id, Scope.enabled
            )
            .distinct()
            .order_by(Scope.name)
        )
        return Allowed(
            allowed_claims=list(session.scalars(allowed)),
            latest_expiry=max(tokens.latest_end(server, [role], now)[0] for role in held),
        )


@_flowkit.get("/tokens/tokens/{server_id}", tags=["tokens"])
def my_tokens(
    request: Request, server_id: Id, person: SignedIn, limit: Whole = None, offset: After = 0
) -> list[TokenTold]:
    """List one's tokens for a server; the tokens themselves are not kept, and `token` is null."""
    mine = sa.and_(Token.server_id == server_id, Token.user_id == person.user.id)
    with request.app.state.database.read() as session:
        found = _tokens(session, mine, limit, offset)
        if not found:
            # Whoever holds no role is not told whether there is such a server.
            tokens.at(session, people.find(session, person.user.id), server_id)
        return found


@_flowkit.post("/tokens/tokens/{server_id}", tags=["tokens"])
def make_token(request: Request, server_id: Id, person: SignedIn, asked: NewToken) -> TokenGiven:
    """Make a token for some of one's roles on a server; it is told this once."""
    state = request.app.state
    with state.database.write() as session:
        user, there = people.find(session, person.user.id), session.get(Server, server_id)
        # Names are unique on a server alone, so they are looked up among one's own roles there.
        held = {role.name: role for role in tokens.roles_of(session, user, there)} if there is not None else {}
        wrong = [
            each.name for each in asked.roles if each.name not in held or each.id not in (None, held[each.name].id)
        ]
        if wrong:
            # Whether there is such a server is not told to whoever holds no role on it.
            named = ", ".join(f"'{name}'" for name in sorted(set(wrong)))
            raise NotAllowed(f"You do not hold these roles on this server: {named}.", "roles")
        server, _ = tokens.at(session, user, server_id)
        chosen = [held[name] for name in dict.fromkeys(each.name for each in asked.roles)]
        issued = tokens.issue(
            session, state.vault, user, server, chosen, name=asked.name, lifetime_minutes=asked.lifetime_minutes
        )
        return _given(issued, asked.lifetime_minutes)


@_flowkit.post("/tokens/tokens/{token_id}/renew", tags=["tokens"])
def renew_token(request: Request, token_id: Id, person: SignedIn, asked: Renewal | None = None) -> TokenGiven:
    """Make a token of the same name and roles, also of one that has expired; the old one lives on until its end."""
    state, minutes = request.app.state, asked.lifetime_minutes if asked else None
    with state.database.write() as session:
        user = people.find(session, person.user.id)
        old = tokens.find(session, token_id, user)
        return _given(tokens.renew(session, state.vault, user, old, minutes), minutes)


@_own.post("/tokens/tokens/{token_id}/revoke", tags=["tokens"])
def revoke_token(request: Request, token_id: Id, person: SignedIn) -> Revoked:
    """End one's own token before its time."""
    with request.app.state.database.write() as session:
        token = tokens.find(session, token_id, people.find(session, person.user.id))
        return _revoked(session, person, token, "its holder ended it")


# Administration: people


@_flowkit.get("/admin/users", tags=["users"])
def all_users(request: Request, person: Administrator, limit: Whole = None, offset: After = 0) -> list[UserListed]:
    """List the people."""
    select = (
        sa.select(User.id, User.username, User.is_admin, User.require_two_factor, TwoFactor.enabled)
        .outerjoin(TwoFactor, TwoFactor.user_id == User.id)
        .order_by(User.id)
    )
    with request.app.state.database.read() as session:
        return [
            UserListed(
                id=row.id,
                name=row.username,
                is_admin=row.is_admin,
                has_two_factor=bool(row.enabled),
                require_two_factor=row.require_two_factor,
            )
            for row in session.execute(select.limit(limit).offset(offset))
        ]


@_flowkit.post("/admin/users", tags=["users"], response_model_exclude_defaults=True)
def add_user(request: Request, person: Administrator, asked: NewUser) -> UserSaved:
    """Add a person; for an administrator, one's own password is wanted as `your_password`.

    With `generate_password` FlowAuth makes the password: it is told once, counts for 7 days, and is changed first.
    """
    password = _password(asked)
    if password is None and asked.provider_subject is None:
        raise Refused("A password is needed, or whom the provider knows.", "password")
    if asked.is_admin:
        access.confirm(request, person, asked.your_password, "your_password")
    with request.app.state.database.write() as session:
        user = people.create(
            session,
            person.user.username,
            asked.username,
            password,
            generated=asked.generate_password,
            is_admin=asked.is_admin,
            require_two_factor=asked.require_two_factor,
            roles=frozenset(asked.roles),
            provider_issuer=asked.provider_issuer,
            provider_subject=asked.provider_subject,
        )
        return _saved(user, password if asked.generate_password else None)


@_flowkit.get("/admin/users/{user_id}", tags=["users"])
def one_user(request: Request, user_id: Id, person: Administrator) -> UserTold:
    """Tell of a person."""
    with request.app.state.database.read() as session:
        return _user(people.find(session, user_id))


@_flowkit.patch("/admin/users/{user_id}", tags=["users"], response_model_exclude_defaults=True)
def change_user(request: Request, user_id: Id, person: Administrator, asked: UserChange) -> UserSaved:
    """Change a person; `has_two_factor` false takes the second factor away, as when the phone is lost.

    One's own password is wanted as `your_password` to make an administrator, and to replace the password or take the
    second factor of one, oneself included.
    """
    database = request.app.state.database
    password = _password(asked)
    with database.read() as session:
        there = people.find(session, user_id)
        opens = password is not None or asked.has_two_factor is False
        guarded = opens if there.is_admin else bool(asked.is_admin)
    if guarded:
        access.confirm(request, person, asked.your_password, "your_password")
    with database.write() as session:
        user = people.find(session, user_id)
        if asked.username not in (None, user.username):
            raise Refused("The name of a user stays; add another user instead.", "username")
        if asked.has_two_factor and not people.has_two_factor(user):
            raise Refused("Only they themselves can set their second factor up; require it instead.", "has_two_factor")
        if asked.has_two_factor is False and user_id == person.user.id:
            people.not_ones_own_factor()
        people.change(
            session,
            person.user.username,
            user,
            is_admin=asked.is_admin,
            require_two_factor=asked.require_two_factor,
            roles=None if asked.roles is None else frozenset(asked.roles),
            password=password,
            generated=asked.generate_password,
            reset_two_factor=asked.has_two_factor is False and people.has_two_factor(user),
        )
        return _saved(user, password if asked.generate_password else None)


@_flowkit.delete("/admin/users/{user_id}", tags=["users"])
def delete_user(request: Request, user_id: Id, person: Administrator) -> Ended:
    """Take a person away; their tokens end."""
    with request.app.state.database.write() as session:
        ended = people.delete(session, person.user.username, people.find(session, user_id))
    return Ended(deleted=True, tokens_ended=ended)


# Administration: servers


@_flowkit.get("/admin/servers", tags=["servers"])
def all_servers(request: Request, person: Administrator, limit: Whole = None, offset: After = 0) -> list[ServerListed]:
    """List the servers."""
    with request.app.state.database.read() as session:
        return [
            _server(each) for each in session.scalars(sa.select(Server).order_by(Server.id).limit(limit).offset(offset))
        ]


@_flowkit.post("/admin/servers", tags=["servers"])
def add_server(request: Request, person: Administrator, asked: NewServer) -> ServerListed:
    """Add a server: by its name and scopes, by its document (OpenAPI), or by the address of its document."""
    limits = Limits(asked.latest_token_expiry, asked.longest_token_life_minutes)
    if asked.document is not None or (asked.document_url is not None and asked.scopes is None):
        document, off = _document(asked.document, asked.document_url), frozenset[str]()
        if asked.name not in (None, document.audience):
            raise Refused(f"The document is of the server '{document.audience}', not of '{asked.name}'.", "name")
    else:
        if asked.name is None:
            raise Refused("Give the server's name, its document, or the address of its document.", "name")
        document, off = _scopes(asked.name, asked.scopes or [])
    with request.app.state.database.write() as session:
        server = servers.create(session, person.user.username, document, limits, asked.document_url)
        session.flush()
        servers.enable(session, person.user.username, server, {s.id: False for s in server.scopes if s.name in off})
        return _server(server)


@_flowkit.get("/admin/servers/{server_id}", tags=["servers"])
def one_server(request: Request, server_id: Id, person: Administrator) -> ServerListed:
    """Tell of a server."""
    with request.app.state.database.read() as session:
        return _server(servers.find(session, server_id))


@_flowkit.patch("/admin/servers/{server_id}", tags=["servers"])
def change_server(request: Request, server_id: Id, person: Administrator, asked: ServerChange) -> ServerListed:
    """Change a server's limits, its scopes, or the address of its document."""
    given, actor = asked.model_fields_set, person.user.username
    with request.app.state.database.write() as session:
        server = servers.find(session, server_id)
        if asked.name not in (None, server.name):
            raise Refused("The name of a server is the audience of its tokens, and stays; add another server.", "name")
        limits = Limits(
            asked.latest_token_expiry if "latest_token_expiry" in given else server.latest_token_expiry,
            server.longest_token_life_minutes
            if asked.longest_token_life_minutes is None
            else asked.longest_token_life_minutes,
        )
        url = asked.document_url if "document_url" in given else server.document_url
        servers.change(session, actor, server, limits, url)
        if asked.scopes is not None:
            _replace_scopes(session, actor, server, asked.scopes)
        return _server(server)


@_flowkit.delete("/admin/servers/{server_id}", tags=["servers"])
def delete_server(request: Request, server_id: Id, person: Administrator) -> Ended:
    """Take a server away with its roles; FlowAuth forgets its tokens, which live on until they expire."""
    with request.app.state.database.write() as session:
        servers.delete(session, person.user.username, servers.find(session, server_id))
    return Ended(deleted=True, tokens_ended=0)


@_flowkit.get("/admin/servers/{server_id}/roles", tags=["servers"])
def roles_of_server(request: Request, server_id: Id, person: Administrator) -> list[RoleShort]:
    """List the roles of a server."""
    with request.app.state.database.read() as session:
        servers.find(session, server_id)
        return _short(session, sa.select(Role).where(Role.server_id == server_id))


@_flowkit.get("/admin/servers/{server_id}/time_limits", tags=["servers"])
def time_limits(request: Request, server_id: Id, person: Administrator) -> TimeLimits:
    """Tell how long a server's tokens may live."""
    with request.app.state.database.read() as session:
        server = servers.find(session, server_id)
        return TimeLimits(
            latest_token_expiry=server.latest_token_expiry,
            longest_token_life_minutes=server.longest_token_life_minutes,
        )


@_flowkit.get("/admin/servers/{server_id}/scopes", tags=["servers"])
def scopes_of_server(request: Request, server_id: Id, person: Administrator) -> list[ScopeTold]:
    """List what a server lets tokens do."""
    with request.app.state.database.read() as session:
        servers.find(session, server_id)
        return _scope_list(session, sa.select(Scope.id, Scope.name, Scope.enabled).where(Scope.server_id == server_id))


@_flowkit.post("/admin/servers/{server_id}/scopes", tags=["servers"])
def replace_scopes(request: Request, server_id: Id, person: Administrator, asked: dict[str, bool]) -> list[ScopeTold]:
    """Replace the scopes of a server: those that are not named go, and drop out of its roles."""
    with request.app.state.database.write() as session:
        server = servers.find(session, server_id)
        _replace_scopes(session, person.user.username, server, asked)
        session.flush()
        return _scope_list(session, sa.select(Scope.id, Scope.name, Scope.enabled).where(Scope.server_id == server_id))


@_own.post("/admin/servers/{server_id}/document", tags=["servers"])
def take_document(request: Request, server_id: Id, person: Administrator, asked: NewDocument) -> Differing:
    """Take over a server's new document, or only look at what it changes."""
    with request.app.state.database.read() as session:
        url = asked.document_url or servers.find(session, server_id).document_url
    # It is fetched while nobody waits for the database.
    document = _document(asked.document, url)
    with request.app.state.database.write() as session:
        server = servers.find(session, server_id)
        if asked.only_look:
            changed = servers.difference(session, server, document)
        else:
            changed = servers.follow(session, person.user.username, server, document)
        return Differing(
            added=sorted(changed.added), gone=sorted(changed.gone), roles=dict(changed.roles), taken=not asked.only_look
        )


@_flowkit.get("/admin/public_key", tags=["keys"])
def public_key(request: Request, person: Administrator) -> PublicKey:
    """Give the public key that a FlowAPI checks tokens with, and all of them where one follows another."""
    state = request.app.state
    with state.database.read() as session:
        kid, _ = keys.signing(session, state.vault)
        return PublicKey(public_key=session.get_one(SigningKey, kid).public, public_keys=keys.public_keys(session))


# Administration: roles


@_flowkit.get("/roles/", tags=["roles"])
def all_roles(request: Request, person: Administrator, limit: Whole = None, offset: After = 0) -> list[RoleListed]:
    """List the roles."""
    with request.app.state.database.read() as session:
        return _roles(session, sa.select(Role).order_by(Role.id).limit(limit).offset(offset))


@_flowkit.post("/roles/", tags=["roles"])
def add_role(request: Request, person: Administrator, asked: NewRole) -> RoleListed:
    """Make a role on a server."""
    given = asked.model_fields_set
    with request.app.state.database.write() as session:
        server = servers.find(session, asked.server_id)
        limits = Limits(
            asked.latest_token_expiry if "latest_token_expiry" in given else server.latest_token_expiry,
            server.longest_token_life_minutes
            if asked.longest_token_life_minutes is None
            else asked.longest_token_life_minutes,
        )
        wanted = roles.Wanted(
            asked.name, frozenset(asked.scopes), frozenset(asked.users), limits, asked.require_two_factor
        )
        role = roles.create(session, person.user.username, server, wanted)
        return _roles(session, sa.select(Role).where(Role.id == role.id))[0]


@_flowkit.get("/roles/{role_id}", tags=["roles"])
def one_role(request: Request, role_id: Id, person: Administrator) -> RoleListed:
    """Tell of a role."""
    with request.app.state.database.read() as session:
        roles.find(session, role_id)
        return _roles(session, sa.select(Role).where(Role.id == role_id))[0]


@_flowkit.patch("/roles/{role_id}", tags=["roles"])
def change_role(request: Request, role_id: Id, person: Administrator, asked: RoleChange) -> RoleListed:
    """Change a role; tokens of a role that gives less than before end."""
    given = asked.model_fields_set
    with request.app.state.database.write() as session:
        role = roles.find(session, role_id)
        if asked.server_id not in (None, role.server_id):
            raise Refused("A role stays on its server; make another role there.", "server_id")
        now = _roles(session, sa.select(Role).where(Role.id == role_id))[0]
        wanted = roles.Wanted(
            now.name if asked.name is None else asked.name,
            frozenset(now.scopes if asked.scopes is None else asked.scopes),
            frozenset(now.users if asked.users is None else asked.users),
            Limits(
                asked.latest_token_expiry if "latest_token_expiry" in given else role.latest_token_expiry,
                role.longest_token_life_minutes
                if asked.longest_token_life_minutes is None
                else asked.longest_token_life_minutes,
            ),
            now.require_two_factor if asked.require_two_factor is None else asked.require_two_factor,
        )
        roles.change(session, person.user.username, role, wanted)
        session.flush()
        return _roles(session, sa.select(Role).where(Role.id == role_id))[0]


@_flowkit.delete("/roles/{role_id}", tags=["roles"])
def delete_role(request: Request, role_id: Id, person: Administrator) -> Ended:
    """Take a role away; tokens that were made with it end."""
    with request.app.state.database.write() as session:
        ended = roles.delete(session, person.user.username, roles.find(session, role_id))
    return Ended(deleted=True, tokens_ended=ended)


@_flowkit.get("/roles/{role_id}/members", tags=["roles"])
def members(request: Request, role_id: Id, person: Administrator) -> list[Member]:
    """List who holds a role."""
    with request.app.state.database.read() as session:
        roles.find(session, role_id)
        held = (
            sa.select(User.id, User.username)
            .join(users_with_roles, users_with_roles.c.user_id == User.id)
            .where(users_with_roles.c.role_id == role_id)
            .order_by(User.id)
        )
        return [Member(id=row.id, name=row.username) for row in session.execute(held)]


@_flowkit.get("/roles/{role_id}/scopes", tags=["roles"])
def scopes_of_role(request: Request, role_id: Id, person: Administrator) -> list[ScopeTold]:
    """List what a role lets tokens do."""
    with request.app.state.database.read() as session:
        roles.find(session, role_id)
        held = sa.select(Scope.id, Scope.name, Scope.enabled).join(
            scopes_in_role, scopes_in_role.c.scope_id == Scope.id
        )
        return _scope_list(session, held.where(scopes_in_role.c.role_id == role_id))


@_flowkit.get("/roles/user/{user_id}", tags=["roles"])
def roles_of_user(request: Request, user_id: Id, person: Administrator) -> list[RoleShort]:
    """List the roles that somebody holds."""
    with request.app.state.database.read() as session:
        people.find(session, user_id)
        return _short(session, sa.select(Role).join(Role.users).where(User.id == user_id))


@_flowkit.get("/roles/server/{server_id}/user/{user_id}", tags=["roles"])
def roles_of_user_on_server(request: Request, server_id: Id, user_id: Id, person: Administrator) -> list[RoleShort]:
    """List the roles that somebody holds on a server."""
    with request.app.state.database.read() as session:
        user, server = people.find(session, user_id), servers.find(session, server_id)
        held = sa.select(Role).join(Role.users).where(User.id == user.id, Role.server_id == server.id)
        return _short(session, held)


# Administration: what FlowKit does not have


@_own.get("/admin/tokens", tags=["tokens"])
def all_tokens(  # noqa: PLR0917
    request: Request,
    person: Administrator,
    server_id: Annotated[int | None, Query(ge=1, le=LARGEST_NUMBER)] = None,
    user_id: Annotated[int | None, Query(ge=1, le=LARGEST_NUMBER)] = None,
    live: bool | None = None,
    limit: Most = ROWS,
    offset: After = 0,
) -> list[TokenTold]:
    """List everybody's tokens, the first to end first; `live` chooses those that live, or those that have ended."""
    living = sa.and_(Token.expiry > dt.datetime.now(dt.UTC), Token.revoked.is_(None))
    which: list[sa.ColumnElement[bool]] = [] if live is None else [living if live else sa.not_(living)]
    which += [Token.server_id == server_id] if server_id else []
    which += [Token.user_id == user_id] if user_id else []
    with request.app.state.database.read() as session:
        return _tokens(session, sa.and_(sa.true(), *which), limit, offset)


@_own.post("/admin/tokens/{token_id}/revoke", tags=["tokens"])
def revoke_any_token(request: Request, token_id: Id, person: Administrator) -> Revoked:
    """End anybody's token before its time."""
    with request.app.state.database.write() as session:
        token = tokens.find(session, token_id, None)
        return _revoked(session, person, token, "an administrator ended it")


@_own.get("/admin/revocations", tags=["tokens"])
def all_revocations(
    request: Request,
    person: Administrator,
    server_id: Annotated[int | None, Query(ge=1, le=LARGEST_NUMBER)] = None,
    limit: Most = ROWS,
    offset: After = 0,
) -> list[TokenTold]:
    """List the tokens that were ended before their time; the signed list of a server is at `/revocations/{name}`."""
    which = [Token.revoked.is_not(None), *([Token.server_id == server_id] if server_id else [])]
    with request.app.state.database.read() as session:
        return _tokens(session, sa.and_(*which), limit, offset)


@_own.get("/admin/keys", tags=["keys"])
def all_keys(request: Request, person: Administrator) -> list[KeyTold]:
    """List the keys that tokens are signed with, the latest first."""
    with request.app.state.database.read() as session:
        published = {key.kid for key in keys.published(session)}
        there = session.scalars(sa.select(SigningKey).order_by(SigningKey.signs_from.desc(), SigningKey.kid))
        return [_key(key, key.kid in published) for key in there]


@_own.post("/admin/keys", tags=["keys"])
def announce_key(request: Request, person: Administrator, asked: NewKey) -> KeyTold:
    """Make a key that signs from a moment on."""
    state, now = request.app.state, dt.datetime.now(dt.UTC)
    signs_from = asked.signs_from or now + dt.timedelta(hours=1)
    if signs_from < now - dt.timedelta(minutes=5):
        raise Refused("The moment from which a key signs lies in the future.", "signs_from")
    made = keys.make(state.vault)
    with state.database.write() as session:
        return _key(keys.announce(session, made, person.user.username, max(signs_from, now)), True)


@_own.post("/admin/keys/{kid}/withdraw", tags=["keys"])
def withdraw_key(request: Request, kid: KeyId, person: Administrator, asked: Confirmation) -> Withdrawn:
    """Believe a key no more, by one's own password; what it has signed ends."""
    access.confirm(request, person, asked.your_password, "your_password")
    with request.app.state.database.write() as session:
        return Withdrawn(kid=kid, tokens_ended=keys.withdraw(session, person.user.username, kid))


@_own.get("/admin/access", tags=["overview"])
def who_can_do_what(  # noqa: PLR0917
    request: Request,
    person: Administrator,
    user: Words = "",
    server_id: Annotated[int, Query(ge=0, le=LARGEST_NUMBER)] = 0,
    limit: Most = ROWS,
    offset: After = 0,
) -> list[Abilities]:
    """List who holds which roles on which server, and until when."""
    with request.app.state.database.read() as session:
        rows = session.execute(pairs(user, server_id).limit(limit).offset(offset)).all()
        return [
            Abilities(
                user_id=row.user_id,
                username=row.username,
                server_id=row.server_id,
                server=row.server,
                roles=facts["roles"],
                tokens_end_by=facts["latest"],
                live_tokens=facts["live"],
                last_live_token_ends=facts["until"],
            )
            for row, facts in zip(rows, facts_of(session, rows), strict=True)
        ]


@_own.get("/admin/audit", tags=["overview"])
def audit_log(  # noqa: PLR0917
    request: Request,
    person: Administrator,
    actor: Words = "",
    action: Words = "",
    subject: Words = "",
    before: Annotated[int | None, Query(ge=1, le=LARGEST_NUMBER, description="Only records of lower numbers.")] = None,
    limit: Most = ROWS,
) -> list[Recorded]:
    """List what was done, the latest first; `action` is the beginning of one, such as `role.`."""
    select = sa.select(AuditRecord).order_by(AuditRecord.id.desc()).limit(limit)
    if actor:
        select = select.where(AuditRecord.actor == actor)
    if action:
        select = select.where(AuditRecord.action.startswith(action, autoescape=True))
    if subject:
        select = select.where(AuditRecord.subject.icontains(subject, autoescape=True))
    if before is not None:
        select = select.where(AuditRecord.id < before)
    with request.app.state.database.read() as session:
        return [
            Recorded(
                id=each.id,
                at=each.at,
                actor=each.actor,
                action=each.action,
                subject=each.subject,
                before=each.before,
                after=each.after,
                previous=each.previous,
                hash=each.hash,
            )
            for each in session.scalars(select)
        ]


@_own.get("/admin/audit/verify", tags=["overview"])
def check_audit_log(request: Request, person: Administrator) -> Chain:
    """Check the chain of the audit log."""
    with request.app.state.database.read() as session:
        broken = audit.first_broken(session)
        number = session.scalar(sa.select(sa.func.count()).select_from(AuditRecord)) or 0
        latest = session.scalar(sa.select(AuditRecord.hash).order_by(AuditRecord.id.desc()).limit(1))
    return Chain(holds=broken is None, records=number, first_broken=broken, latest_hash=latest or audit.BEGINNING)


# The description of the API

_REDOC_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
# ReDoc would load its maker's logo from elsewhere.
_FOREIGN_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
_ASSETS = {"redoc.standalone.js": "text/javascript", "favicon.png": "image/png"}


@_own.get("/redoc", include_in_schema=False)
def redoc() -> Response:
    """Show the description of the API to people."""
    page = get_redoc_html(
        openapi_url="openapi.json",
        title="FlowAuth",
        redoc_js_url="redoc/redoc.standalone.js",
        redoc_favicon_url="redoc/favicon.png",
        with_google_fonts=False,
    )
    return Response(bytes(page.body), media_type="text/html", headers={"Content-Security-Policy": _REDOC_POLICY})


@_own.get("/redoc/{name}", include_in_schema=False)
def redoc_asset(name: str) -> Response:
    """Send a file that the description loads."""
    if name not in _ASSETS:
        raise NotThere("There is no such file.")
    return Response(_asset(name), media_type=_ASSETS[name], headers={"Cache-Control": "public, max-age=3600"})


@cache
def _asset(name: str) -> bytes:
    content = (importlib.resources.files("fastapi_offline") / "static" / name).read_bytes()
    return content.replace(_FOREIGN_LOGO, b"data:,")


router = APIRouter()
router.include_router(_flowkit)
router.include_router(_own)

_REFUSALS = {
    "400": "What was asked cannot be done as it stands; `message` says why.",
    "401": "Nobody is signed in, or they may not do this.",
    "403": "Who is signed in may not do this, or must set two-factor up first.",
    "404": "There is no such thing.",
    "413": "The request is too large.",
    "429": "There were too many attempts; `Retry-After` says for how many seconds to wait.",
    "502": "A server's document cannot be read at its address.",
}
_REFUSAL = {
    "type": "object",
    "description": "What every refusal looks like.",
    "required": ["message", "code"],
    "properties": {
        "message": {"type": "string", "description": "What is wrong and the way out, in a sentence."},
        "code": {"type": "integer", "description": "The status."},
        "bad_field": {"type": "string", "description": "The field that is meant."},
        "need_two_factor": {"type": "boolean", "description": "The code of the second factor is wanted."},
        "require_two_factor_setup": {"type": "boolean", "description": "Two-factor must be set up first."},
        "require_password_change": {"type": "boolean", "description": "A password must be chosen first."},
        "status": {"type": "integer", "description": "The status again, where a name is taken."},
        "statusText": {"type": "string", "description": "`Name already exists`, where a name is taken."},
    },
}


def _whom_for(route: APIRoute) -> str:
    """Who may ask a route, in a sentence."""
    waiting, asked = list(route.dependant.dependencies), set[Any]()
    while waiting:
        each = waiting.pop()
        asked.add(each.call)
        waiting += each.dependencies
    for call, words in _WHOM_FOR.items():
        if call in asked:
            return words
    return "For everybody."


_WHOM_FOR = {
    access.administrator: "For administrators.",
    access.signed_in: "For whoever is signed in.",
    access.may_set_up: "For whoever is signed in, also where two-factor is still to be set up.",
    access.may_choose: "For whoever is signed in, also where a password is still to be chosen.",
    access.signed_in_at_least: "For whoever is signed in, also where something is still to be done first.",
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The description of the API (OpenAPI), made once."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    routes = [route for each in (_flowkit, _own) for route in each.routes if isinstance(route, APIRoute)]
    whom_for = {(route.path, method.lower()): _whom_for(route) for route in routes for method in route.methods or ()}
    told = get_openapi(title="FlowAuth", version=version_of("flowkit"), description=DESCRIPTION, routes=app.routes)
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            open_to_all = path in ("/signin", "/version")
            operation["description"] += f"\n\n{whom_for[path, method]}"
            operation["responses"].pop("422", None)
            operation["responses"] |= {
                status: {
                    "description": words,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
                }
                for status, words in _REFUSALS.items()
            }
            if not open_to_all:
                operation["security"] = [{"session": []} if method == "get" else {"session": [], "csrf": []}]
    schemas = told["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Refusal"] = _REFUSAL
    told["components"]["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": sign_in.cookie_name(app.state.settings)},
        "csrf": {"type": "apiKey", "in": "header", "name": access.CSRF_HEADER},
    }
    app.openapi_schema = told
    return told


# What the routes share


def _flags(person: Person) -> Flags:
    return Flags(
        logged_in=True,
        is_admin=person.user.is_admin,
        require_two_factor_setup=person.set_up_needed,
        require_password_change=person.choice_needed,
    )


def _given(issued: tokens.Issued, asked_minutes: int | None) -> TokenGiven:
    if issued.warning is not None and asked_minutes is not None:
        # FlowKit refuses a life that is too long; the transaction is given up with it.
        raise Refused(f"lifetime_minutes is more than is allowed. {issued.warning}", "lifetime_minutes")
    return TokenGiven(token=issued.text, id=issued.token.id, expires=issued.token.expiry, warning=issued.warning)


def _tokens(session: Session, which: sa.ColumnElement[bool], limit: int | None, offset: int) -> list[TokenTold]:
    select = (
        sa.select(Token)
        .where(which)
        .options(
            joinedload(Token.user).load_only(User.username),
            joinedload(Token.server).load_only(Server.name),
            selectinload(Token.roles).load_only(Role.name),
        )
        .order_by(Token.expiry, Token.id)
    )
    return [
        TokenTold(
            id=token.id,
            name=token.name,
            token=None,
            expires=token.expiry,
            server_name=token.server.name,
            username=token.user.username if token.user else None,
            roles=[RoleTold(name=role.name) for role in sorted(token.roles, key=lambda role: role.name)],
            issued=token.issued,
            revoked=token.revoked,
            revoked_because=token.revoked_because,
        )
        for token in session.scalars(select.limit(limit).offset(offset))
    ]


def _revoked(session: Session, person: Person, token: Token, because: str) -> Revoked:
    if token.revoked is None:
        if token.expiry <= dt.datetime.now(dt.UTC):
            raise Refused(f"The token '{token.name}' has expired already.")
        tokens.revoke(session, person.user.username, token, because)
    return Revoked(id=token.id, revoked=token.revoked or token.expiry)


def _password(asked: NewUser | UserChange) -> str | None:
    """The password that an administrator gives somebody, or lets FlowAuth make."""
    if asked.generate_password and asked.password is not None:
        raise Refused("Give a password, or let FlowAuth make one; not both.", "generate_password")
    return passwords.generated() if asked.generate_password else asked.password


def _saved(user: User, generated: str | None) -> UserSaved:
    expires = user.password_expires if generated else None
    return UserSaved(**_user(user).model_dump(), generated_password=generated, password_expires=expires)


def _user(user: User) -> UserTold:
    return UserTold(
        id=user.id,
        name=user.username,
        is_admin=user.is_admin,
        has_two_factor=people.has_two_factor(user),
        require_two_factor=user.require_two_factor,
        roles=sorted(role.id for role in user.roles),
    )


def _server(server: Server) -> ServerListed:
    return ServerListed(
        id=server.id,
        name=server.name,
        latest_token_expiry=server.latest_token_expiry,
        longest_token_life_minutes=server.longest_token_life_minutes,
        document_url=server.document_url,
        document_read=server.document_read,
        document_problem=server.document_problem,
    )


def _document(document: dict[str, Any] | None, url: str | None) -> servers.Document:
    if document is not None:
        return servers.read_document(json.dumps(document).encode())
    if url is None:
        raise Refused("Give the document, or the address at which it is read.", "document")
    return servers.read_document(servers.fetch_document(url))


def _scopes(name: str, scopes: Sequence[str] | dict[str, bool]) -> tuple[servers.Document, frozenset[str]]:
    """What scopes that are sent amount to, and those of them that new tokens may not hold."""
    try:
        document = servers.described(name, list(scopes))
    except Refused as refused:
        refused.field = "scopes"
        raise
    off = frozenset(scope for scope, enabled in scopes.items() if not enabled) if isinstance(scopes, dict) else ()
    return document, frozenset(off)


def _replace_scopes(session: Session, actor: str, server: Server, scopes: list[str] | dict[str, bool]) -> None:
    document, off = _scopes(server.name, scopes)
    servers.follow(session, actor, server, document)
    session.flush()
    if isinstance(scopes, dict):
        servers.enable(session, actor, server, {scope.id: scope.name not in off for scope in server.scopes})


def _scope_list(session: Session, select: sa.Select[Any]) -> list[ScopeTold]:
    rows = session.execute(select.order_by(Scope.name))
    return [ScopeTold(id=row.id, name=row.name, enabled=row.enabled) for row in rows]


def _short(session: Session, select: sa.Select[tuple[Role]]) -> list[RoleShort]:
    return [
        RoleShort(
            id=role.id,
            name=role.name,
            server=role.server_id,
            latest_token_expiry=role.latest_token_expiry,
            longest_token_life_minutes=role.longest_token_life_minutes,
        )
        for role in session.scalars(select.order_by(Role.id))
    ]


def _roles(session: Session, select: sa.Select[tuple[Role]]) -> list[RoleListed]:
    """Roles with the numbers of their scopes and members: three statements for all of them."""
    found = session.scalars(select).all()
    scopes = _numbers(session, scopes_in_role.c.role_id, scopes_in_role.c.scope_id, found)
    users = _numbers(session, users_with_roles.c.role_id, users_with_roles.c.user_id, found)
    return [
        RoleListed(
            id=role.id,
            name=role.name,
            server=role.server_id,
            scopes=scopes.get(role.id, []),
            users=users.get(role.id, []),
            latest_token_expiry=role.latest_token_expiry,
            longest_token_life_minutes=role.longest_token_life_minutes,
            require_two_factor=role.require_two_factor,
        )
        for role in found
    ]


def _numbers(
    session: Session, of: sa.Column[Any], number: sa.Column[Any], found: Sequence[Role]
) -> dict[int, list[int]]:
    numbers: dict[int, list[int]] = {}
    for owner, each in session.execute(
        sa.select(of, number).where(of.in_([role.id for role in found])).order_by(of, number)
    ):
        numbers.setdefault(owner, []).append(each)
    return numbers


def _key(key: SigningKey, published: bool) -> KeyTold:
    return KeyTold(
        kid=key.kid,
        public_key=key.public,
        created=key.created,
        signs_from=key.signs_from,
        withdrawn=key.withdrawn,
        published=published,
    )
