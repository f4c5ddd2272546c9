"""`flowkit auth …`: what an administrator does on the machine itself, where no browser is."""

import datetime as dt
import getpass
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from flowauth.errors import NotThere, Refused

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from flowauth.database import Database
    from flowauth.services.keys import Vault
    from flowauth.settings import Settings
    from flowauth.tables import Role, Server, Token, User

app = typer.Typer(help="FlowAuth: people, roles, servers, tokens and keys.", no_args_is_help=True)
users = typer.Typer(help="People.", no_args_is_help=True)
servers = typer.Typer(help="The FlowAPIs for which tokens are made.", no_args_is_help=True)
roles = typer.Typer(help="Roles, each of one server.", no_args_is_help=True)
tokens = typer.Typer(help="Tokens that were made; none can be read again.", no_args_is_help=True)
keys = typer.Typer(help="The keys that tokens are signed with.", no_args_is_help=True)
revocations = typer.Typer(help="Revocation lists, for FlowAPIs without a connection.", no_args_is_help=True)
audit = typer.Typer(help="The audit log.", no_args_is_help=True)
for _name, _group in (
    ("users", users),
    ("servers", servers),
    ("roles", roles),
    ("tokens", tokens),
    ("keys", keys),
    ("revocations", revocations),
    ("audit", audit),
):
    app.add_typer(_group, name=_name)

_UNWATCHED = 10_000
_WHEN = "Such as 2027-01-31T18:00Z, or 'none'."

UserName = Annotated[str, typer.Argument(metavar="USER", help="Their name.")]
ServerName = Annotated[str, typer.Argument(metavar="SERVER", help="Its name.")]
RoleName = Annotated[str, typer.Argument(metavar="ROLE", help="Its name.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="FILE", help="Read the password from a file, or - for standard input."),
]
Generate = Annotated[
    bool,
    typer.Option("--generate", help="Make the password: printed once, valid 7 days, to be changed at first sign-in."),
]
RoleNames = Annotated[
    list[str], typer.Option("--role", metavar="SERVER:ROLE", help="A role that they hold; may be given several times.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")]
Days = Annotated[float | None, typer.Option("--longest-life-days", help="Days that a token lives at the most.")]
Latest = Annotated[str | None, typer.Option("--latest-expiry", metavar="WHEN", help=_WHEN)]


@dataclass(frozen=True)
class Opened:
    """FlowAuth's settings, database and keys, for the length of a command."""

    settings: "Settings"
    database: "Database"
    vault: "Vault"


@contextmanager
def opened() -> Iterator[Opened]:
    """Open FlowAuth's database as the settings say; raises UserError where that cannot be."""
    from flowauth import opening  # noqa: PLC0415
    from flowauth.settings import Settings  # noqa: PLC0415

    settings = Settings.read()
    database, vault = opening.opened(settings)
    try:
        yield Opened(settings, database, vault)
    finally:
        database.close()


def actor() -> str:
    """Who acts, as the audit log calls them."""
    from flowauth.tables import LONGEST_NAME  # noqa: PLC0415

    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return f"command line ({name})"[:LONGEST_NAME]


@app.command()
def serve() -> None:
    """Serve FlowAuth on FLOWAUTH_HOST and FLOWAUTH_PORT until SIGTERM."""
    from flowauth.__main__ import serve as run  # noqa: PLC0415

    run()


@app.command("fernet-key")
def fernet_key() -> None:
    """Print a new key for FLOWAUTH_FERNET_KEY."""
    from cryptography.fernet import Fernet  # noqa: PLC0415

    _say(Fernet.generate_key().decode())


@users.command("list")
def list_users() -> None:
    """List the people."""
    import sqlalchemy as sa  # noqa: PLC0415
    from sqlalchemy.orm import joinedload, selectinload  # noqa: PLC0415

    from flowauth.services.people import has_two_factor, needs_two_factor  # noqa: PLC0415
    from flowauth.tables import Role, User  # noqa: PLC0415

    rows = _table("user", "administrator", "two-factor", "roles")
    loaded = (joinedload(User.two_factor), selectinload(User.roles).joinedload(Role.server))
    with opened() as held, held.database.read() as session:
        for user in session.scalars(sa.select(User).options(*loaded).order_by(User.username)):
            needed = needs_two_factor(user, held.settings.flowauth_require_two_factor)
            second = "on" if has_two_factor(user) else "required" if needed else "off"
            named = sorted(f"{role.server.name}:{role.name}" for role in user.roles)
            rows.add_row(user.username, "yes" if user.is_admin else "", second, " ".join(named))
    _show(rows)


@users.command("add")
def add_user(  # noqa: PLR0917 - Typer's way
    name: UserName,
    administrator: Annotated[bool, typer.Option("--administrator", help="May administer FlowAuth.")] = False,
    require_two_factor: Annotated[bool, typer.Option("--require-two-factor", help="Must use two-factor.")] = False,
    role: RoleNames = [],  # noqa: B006 - Typer's way to say none
    password_file: PasswordFile = None,
    generate: Generate = False,
) -> None:
    """Add a person; the password is asked for, read from a file, or made and printed once."""
    from flowauth.services import people  # noqa: PLC0415

    with opened() as held:
        password = _generated(password_file) if generate else _password(password_file)
        with held.database.write() as session:
            people.create(
                session,
                actor(),
                name,
                password,
                generated=generate,
                is_admin=administrator,
                require_two_factor=require_two_factor,
                roles=frozenset(_role(session, each).id for each in role),
            )
    _say(f"The user '{name}' is there.")
    if generate:
        _say_generated(password)


@users.command("change")
def change_user(  # noqa: PLR0917 - Typer's way
    name: UserName,
    administrator: Annotated[bool | None, typer.Option("--administrator/--no-administrator")] = None,
    require_two_factor: Annotated[bool | None, typer.Option("--require-two-factor/--allow-one-factor")] = None,
    role: Annotated[list[str], typer.Option("--role", metavar="SERVER:ROLE", help="Give a role.")] = [],  # noqa: B006
    take: Annotated[list[str], typer.Option("--take", metavar="SERVER:ROLE", help="Take a role away.")] = [],  # noqa: B006
    password: Annotated[bool, typer.Option("--password", help="Ask for a new password.")] = False,
    password_file: PasswordFile = None,
    generate: Generate = False,
) -> None:
    """Change a person's rights, roles or password; tokens of a role that is taken end."""
    from flowauth.services import people  # noqa: PLC0415

    with opened() as held:
        new = _generated(password_file) if generate else None
        if new is None and (password or password_file is not None):
            new = _password(password_file)
        with held.database.write() as session:
            user = _user(session, name)
            given = {_role(session, each).id for each in role}
            taken = {_role(session, each).id for each in take}
            people.change(
                session,
                actor(),
                user,
                is_admin=administrator,
                require_two_factor=require_two_factor,
                roles=frozenset({each.id for each in user.roles} - taken | given) if role or take else None,
                password=new,
                generated=generate,
            )
    _say(f"The user '{name}' is changed.")
    if generate and new is not None:
        _say_generated(new)


@users.command("remove")
def remove_user(name: UserName, yes: Yes = False) -> None:
    """Take a person away; their tokens end."""
    from flowauth.services import people  # noqa: PLC0415

    with opened() as held, held.database.write() as session:
        user = _user(session, name)
        _ask(yes, f"Remove the user '{name}', whose tokens end?")
        ended = people.delete(session, actor(), user)
    _say(f"The user '{name}' is removed; {ended} live tokens ended.")


@users.command("reset-two-factor")
def reset_two_factor(name: UserName) -> None:
    """Take somebody's second factor away, as when the phone is lost."""
    from flowauth.services import people  # noqa: PLC0415

    with opened() as held, held.database.write() as session:
        user = _user(session, name)
        if user.two_factor is None:
            raise Refused(f"'{name}' has not set two-factor up.")
        people.change(session, actor(), user, reset_two_factor=True)
    _say(f"Two-factor of '{name}' is reset; they are signed out and set it up anew.")


@servers.command("list")
def list_servers() -> None:
    """List the servers."""
    import sqlalchemy as sa  # noqa: PLC0415

    from flowauth.tables import Role, Scope, Server  # noqa: PLC0415

    scopes = sa.select(sa.func.count()).where(Scope.server_id == Server.id).scalar_subquery()
    held_roles = sa.select(sa.func.count()).where(Role.server_id == Server.id).scalar_subquery()
    rows = _table("server", "scopes", "roles", "longest life", "latest expiry", "document", "problem")
    with opened() as held, held.database.read() as session:
        for server, number, of_roles in session.execute(sa.select(Server, scopes, held_roles).order_by(Server.name)):
            rows.add_row(
                server.name,
                str(number),
                str(of_roles),
                _life(server.longest_token_life_minutes),
                _moment(server.latest_token_expiry),
                server.document_url or "by file",
                server.document_problem or "",
            )
    _show(rows)


@servers.command("add")
def add_server(
    document: Annotated[str, typer.Argument(metavar="FILE|URL", help="Its openapi.json, or where it answers.")],
    longest_life_days: Annotated[float, typer.Option(help="Days that a token lives at the most.")] = 1,
    latest_expiry: Latest = None,
) -> None:
    """Add a server by its document; one that is given by its address is kept in step."""
    from flowauth.services import servers as domain  # noqa: PLC0415
    from flowauth.services.limits import Limits  # noqa: PLC0415

    limits = Limits(_when(latest_expiry), _minutes(longest_life_days))
    read = domain.read_document(_content(document))
    with opened() as held, held.database.write() as session:
        made = domain.create(session, actor(), read, limits, document if _is_url(document) else None)
        said = f"The server '{made.name}' is there, with {len(read.scopes)} scopes; make its roles next."
    _say(said)


@servers.command("update")
def update_server(
    name: ServerName,
    document: Annotated[
        str | None, typer.Argument(metavar="[FILE|URL]", help="Its new document; default: from its address.")
    ] = None,
    longest_life_days: Days = None,
    latest_expiry: Latest = None,
    yes: Yes = False,
) -> None:
    """Take over a server's new document, or give it other limits; says what roles lose before they do."""
    from flowauth.services import servers as domain  # noqa: PLC0415
    from flowauth.services.limits import Limits  # noqa: PLC0415

    with opened() as held:
        with held.database.read() as session:
            where = document or _server(session, name).document_url
        only_limits = document is None and (longest_life_days is not None or latest_expiry is not None)
        if where is None and not only_limits:
            raise Refused(f"The document of '{name}' is not kept in step; name the file or address of the new one.")
        read = None if only_limits or where is None else domain.read_document(_content(where))
        with held.database.write() as session:
            server = _server(session, name)
            if longest_life_days is not None or latest_expiry is not None:
                life = server.longest_token_life_minutes
                latest = server.latest_token_expiry if latest_expiry is None else _when(latest_expiry)
                limits = Limits(latest, life if longest_life_days is None else _minutes(longest_life_days))
                domain.change(session, actor(), server, limits, server.document_url)
            said = f"The server '{name}' is changed."
            if read is not None:
                changed = domain.difference(session, server, read)
                if changed.gone:
                    _say(f"{len(changed.gone)} scopes go: {', '.join(sorted(changed.gone)[:20])}.")
                    for role, number in sorted(changed.roles.items()):
                        _say(f"The role '{role}' loses {number} of its scopes.")
                    _ask(yes, "Take the document over?")
                domain.follow(session, actor(), server, read)
                said = f"The server '{name}' has {len(changed.added)} new scopes; {len(changed.gone)} went."
    _say(said)


@servers.command("remove")
def remove_server(name: ServerName, yes: Yes = False) -> None:
    """Take a server away with its roles; its tokens live on until they expire."""
    from flowauth.services import servers as domain  # noqa: PLC0415

    with opened() as held, held.database.write() as session:
        server = _server(session, name)
        _ask(yes, f"Remove the server '{name}' and its {len(server.roles)} roles? Its tokens can no longer be revoked.")
        domain.delete(session, actor(), server)
    _say(f"The server '{name}' is removed.")


@roles.command("list")
def list_roles(server: Annotated[str | None, typer.Option(help="Of this server alone.")] = None) -> None:
    """List the roles."""
    import sqlalchemy as sa  # noqa: PLC0415

    from flowauth.tables import Role, Server, scopes_in_role, users_with_roles  # noqa: PLC0415

    scopes = sa.select(sa.func.count()).where(scopes_in_role.c.role_id == Role.id).scalar_subquery()
    members = sa.select(sa.func.count()).where(users_with_roles.c.role_id == Role.id).scalar_subquery()
    select = sa.select(Role, Server.name, scopes, members).join(Role.server).order_by(Server.name, Role.name)
    rows = _table("server", "role", "scopes", "members", "longest life", "latest expiry")
    with opened() as held, held.database.read() as session:
        if server is not None:
            select = select.where(Role.server_id == _server(session, server).id)
        for role, name, number, held_by in session.execute(select):
            life, latest = _life(role.longest_token_life_minutes), _moment(role.latest_token_expiry)
            rows.add_row(name, role.name, str(number), str(held_by), life, latest)
    _show(rows)


@roles.command("add")
def add_role(  # noqa: PLR0917 - Typer's way
    server: ServerName,
    name: RoleName,
    scope: Annotated[list[str], typer.Option("--scope", metavar="PATTERN", help="Scopes, with * for any.")],
    member: Annotated[list[str], typer.Option("--member", metavar="USER", help="Who holds it.")] = [],  # noqa: B006
    longest_life_days: Days = None,
    latest_expiry: Latest = None,
    require_two_factor: Annotated[bool, typer.Option("--require-two-factor", help="Only with two-factor.")] = False,
) -> None:
    """Make a role of a server; without limits of its own, it has its server's."""
    from flowauth.services import roles as domain  # noqa: PLC0415
    from flowauth.services.limits import Limits  # noqa: PLC0415

    with opened() as held, held.database.write() as session:
        owner = _server(session, server)
        life = owner.longest_token_life_minutes if longest_life_days is None else _minutes(longest_life_days)
        limits = Limits(owner.latest_token_expiry if latest_expiry is None else _when(latest_expiry), life)
        members = frozenset(_user(session, each).id for each in member)
        chosen = _scopes(owner, scope)
        domain.create(session, actor(), owner, domain.Wanted(name, chosen, members, limits, require_two_factor))
    _say(f"The role '{name}' of '{server}' is there, with {len(chosen)} scopes.")


@roles.command("change")
def change_role(  # noqa: PLR0917 - Typer's way
    server: ServerName,
    name: RoleName,
    new_name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    scope: Annotated[
        list[str], typer.Option("--scope", metavar="PATTERN", help="All that it is to have, in place of the former.")
    ] = [],  # noqa: B006
    give: Annotated[list[str], typer.Option("--give", metavar="USER", help="Give it to somebody.")] = [],  # noqa: B006
    take: Annotated[list[str], typer.Option("--take", metavar="USER", help="Take it from somebody.")] = [],  # noqa: B006
    longest_life_days: Days = None,
    latest_expiry: Latest = None,
    require_two_factor: Annotated[bool | None, typer.Option("--require-two-factor/--allow-one-factor")] = None,
) -> None:
    """Change a role; tokens that it gives less than before end."""
    from flowauth.services import roles as domain  # noqa: PLC0415
    from flowauth.services.limits import Limits  # noqa: PLC0415

    with opened() as held, held.database.write() as session:
        role = _role(session, f"{server}:{name}")
        life = role.longest_token_life_minutes if longest_life_days is None else _minutes(longest_life_days)
        given = {_user(session, each).id for each in give}
        taken = {_user(session, each).id for each in take}
        wanted = domain.Wanted(
            new_name or role.name,
            _scopes(role.server, scope) if scope else frozenset(each.id for each in role.scopes),
            frozenset({user.id for user in role.users} - taken | given),
            Limits(role.latest_token_expiry if latest_expiry is None else _when(latest_expiry), life),
            role.require_two_factor if require_two_factor is None else require_two_factor,
        )
        ended = domain.change(session, actor(), role, wanted)
    _say(f"The role '{name}' of '{server}' is changed; {ended} live tokens ended.")


@roles.command("remove")
def remove_role(server: ServerName, name: RoleName, yes: Yes = False) -> None:
    """Take a role away; tokens that were made with it end."""
    from flowauth.services import roles as domain  # noqa: PLC0415

    with opened() as held, held.database.write() as session:
        role = _role(session, f"{server}:{name}")
        _ask(yes, f"Remove the role '{name}' of '{server}', which {len(role.users)} people hold?")
        ended = domain.delete(session, actor(), role)
    _say(f"The role '{name}' of '{server}' is removed; {ended} live tokens ended.")


@tokens.command("list")
def list_tokens(
    user: Annotated[str | None, typer.Option(help="Of this person alone.")] = None,
    server: Annotated[str | None, typer.Option(help="Of this server alone.")] = None,
    ended: Annotated[bool, typer.Option("--ended", help="Also those that have expired or were revoked.")] = False,
) -> None:
    """List the tokens that live."""
    import sqlalchemy as sa  # noqa: PLC0415
    from sqlalchemy.orm import joinedload, selectinload  # noqa: PLC0415

    from flowauth.tables import Token  # noqa: PLC0415

    now = dt.datetime.now(dt.UTC)
    loaded = (joinedload(Token.user), joinedload(Token.server), selectinload(Token.roles))
    select = sa.select(Token).options(*loaded).order_by(Token.expiry, Token.id)
    if not ended:
        select = select.where(Token.expiry > now, Token.revoked.is_(None))
    rows = _table("number", "user", "server", "name", "roles", "ends", "state")
    with opened() as held, held.database.read() as session:
        if user is not None:
            select = select.where(Token.user_id == _user(session, user).id)
        if server is not None:
            select = select.where(Token.server_id == _server(session, server).id)
        for token in session.scalars(select):
            rows.add_row(
                token.jti,
                token.user.username if token.user else "-",
                token.server.name,
                token.name,
                " ".join(sorted(role.name for role in token.roles)),
                _moment(token.expiry),
                _state(token, now),
            )
    _show(rows)


@tokens.command("revoke")
def revoke_token(
    number: Annotated[list[str], typer.Argument(metavar="NUMBER...", help="As `tokens list` tells it.")],
    because: Annotated[str, typer.Option(help="The reason.")] = "an administrator ended it",
) -> None:
    """End tokens before their time."""
    import sqlalchemy as sa  # noqa: PLC0415

    from flowauth.services import tokens as domain  # noqa: PLC0415
    from flowauth.tables import Token  # noqa: PLC0415

    with opened() as held, held.database.write() as session:
        for each in number:
            token = session.scalar(sa.select(Token).where(Token.jti == each))
            if token is None:
                raise NotThere(f"There is no token {each}; `flowkit auth tokens list` tells them.")
            if token.revoked is None:
                domain.revoke(session, actor(), token, because)
    _say(f"{len(number)} tokens are revoked; FlowAPIs learn of it within about a minute.")


@keys.command("list")
def list_keys() -> None:
    """List the signing keys, the latest first."""
    import sqlalchemy as sa  # noqa: PLC0415

    from flowauth.services import keys as domain  # noqa: PLC0415
    from flowauth.tables import SigningKey  # noqa: PLC0415

    rows = _table("key", "signs from", "state")
    with opened() as held, held.database.read() as session:
        published = {key.kid for key in domain.published(session)}
        signing, _ = domain.signing(session, held.vault)
        for key in session.scalars(sa.select(SigningKey).order_by(SigningKey.signs_from.desc(), SigningKey.kid)):
            state = "believed" if key.kid in published else "no more needed"
            if key.kid == signing:
                state = "signs"
            elif key.withdrawn is not None:
                state = "withdrawn"
            elif key.signs_from > dt.datetime.now(dt.UTC):
                state = "announced"
            rows.add_row(key.kid, _moment(key.signs_from), state)
    _show(rows)


@keys.command("announce")
def announce_key(
    hours: Annotated[float, typer.Option(min=0, max=8784, help="In how many hours it begins to sign.")] = 1,
) -> None:
    """Make a key that signs later on, when every FlowAPI has fetched it."""
    from flowauth.services import keys as domain  # noqa: PLC0415

    with opened() as held:
        made = domain.make(held.vault)
        with held.database.write() as session:
            moment = dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)
            key = domain.announce(session, made, actor(), moment)
            said = f"The key {key.kid} signs from {_moment(key.signs_from)} on; FlowAPIs must have it before."
    _say(said)


@keys.command("withdraw")
def withdraw_key(
    kid: Annotated[str, typer.Argument(metavar="KEY", help="As `keys list` tells it.")], yes: Yes = False
) -> None:
    """Believe a key no more, as when it has leaked; tokens that it has signed end."""
    from flowauth.services import keys as domain  # noqa: PLC0415

    with opened() as held, held.database.write() as session:
        _ask(yes, f"Withdraw the key {kid}, so that tokens that it has signed end?")
        ended = domain.withdraw(session, actor(), kid)
    _say(f"The key {kid} is withdrawn; {ended} live tokens ended.")


@keys.command("export")
def export_keys(
    form: Annotated[
        str, typer.Option("--form", help="jwks (FLOWAPI_KEY_SET) or pem (PUBLIC_JWT_SIGNING_KEY).")
    ] = "pem",
    file: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Default: standard output.")] = None,
) -> None:
    """Write the public keys that a FlowAPI is to believe."""
    from flowauth.services import keys as domain  # noqa: PLC0415

    if form not in ("jwks", "pem"):
        raise typer.BadParameter("it is jwks or pem.", param_hint="--form")
    with opened() as held, held.database.read() as session:
        text = json.dumps(domain.key_set(session), indent=2) if form == "jwks" else domain.public_keys(session)
    if file is None:
        _say(text.rstrip("\n"))
        return
    file.write_text(text.rstrip("\n") + "\n")
    _say(f"The public keys are in {file}.")


@revocations.command("export")
def export_revocations(
    server: ServerName, file: Annotated[Path, typer.Argument(metavar="FILE", help="What FLOWAPI_REVOCATIONS names.")]
) -> None:
    """Write a server's signed revocation list into a file, to be carried to a FlowAPI without a connection."""
    from flowauth.services.revocations import signed_list  # noqa: PLC0415

    with opened() as held, held.database.read() as session:
        text = signed_list(session, held.vault, _server(session, server))
    # A FlowAPI that reads it at this moment finds the old list or the new one, and never half of it.
    beside = file.with_name(file.name + ".new")
    beside.write_text(text + "\n")
    beside.replace(file)
    _say(f"The revocation list of '{server}' is in {file}.")


@audit.command("show")
def show_audit(
    number: Annotated[int, typer.Option("--last", min=1, help="So many records.")] = 50,
    action: Annotated[str, typer.Option(help="Only what begins with this, such as role. or sign_in.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each record, whole.")] = False,
) -> None:
    """Show what was done, the latest last."""
    import sqlalchemy as sa  # noqa: PLC0415

    from flowauth.tables import AuditRecord  # noqa: PLC0415

    select = sa.select(AuditRecord).order_by(AuditRecord.id.desc()).limit(number)
    if action:
        select = select.where(AuditRecord.action.startswith(action, autoescape=True))
    with opened() as held, held.database.read() as session:
        records = list(session.scalars(select))[::-1]
        session.expunge_all()
    rows = _table("record", "when", "who", "what", "to whom or what", "before", "after")
    for record in records:
        if as_json:
            told = {column.key: getattr(record, column.key) for column in AuditRecord.__table__.columns}
            _say(json.dumps(told | {"at": record.at.isoformat()}, ensure_ascii=False))
            continue
        before, after = (json.dumps(side, ensure_ascii=False) if side else "" for side in (record.before, record.after))
        rows.add_row(str(record.id), _moment(record.at), record.actor, record.action, record.subject, before, after)
    if not as_json:
        _show(rows)


@audit.command("verify")
def verify_audit() -> None:
    """Check that no record was changed or taken out; the last hash is to be noted elsewhere now and then."""
    import sqlalchemy as sa  # noqa: PLC0415

    from flowauth.services import audit as domain  # noqa: PLC0415
    from flowauth.tables import AuditRecord  # noqa: PLC0415

    with opened() as held, held.database.read() as session:
        broken = domain.first_broken(session)
        number = session.scalar(sa.select(sa.func.count()).select_from(AuditRecord)) or 0
        last = session.scalar(sa.select(AuditRecord.hash).order_by(AuditRecord.id.desc()).limit(1))
    if broken is not None:
        raise Refused(f"The chain is broken at record {broken}: it, or one before it, was changed or taken out.")
    _say(f"The chain of {number} records holds; its last hash is {last or domain.BEGINNING}.")


def _user(session: "Session", name: str) -> "User":
    from flowauth.services.people import named  # noqa: PLC0415

    user = named(session, name)
    if user is None:
        raise NotThere(f"There is no user '{name}'; `flowkit auth users list` tells them.")
    return user


def _server(session: "Session", name: str) -> "Server":
    import sqlalchemy as sa  # noqa: PLC0415

    from flowauth.tables import Server  # noqa: PLC0415

    server = session.scalar(sa.select(Server).where(Server.name == name))
    if server is None:
        raise NotThere(f"There is no server '{name}'; `flowkit auth servers list` tells them.")
    return server


def _role(session: "Session", full_name: str) -> "Role":
    import sqlalchemy as sa  # noqa: PLC0415

    from flowauth.tables import Role  # noqa: PLC0415

    server, colon, name = full_name.rpartition(":")
    if not colon:
        raise Refused(f"'{full_name}' names no role: write it as SERVER:ROLE.")
    role = session.scalar(sa.select(Role).where(Role.server_id == _server(session, server).id, Role.name == name))
    if role is None:
        raise NotThere(f"The server '{server}' has no role '{name}'; `flowkit auth roles list` tells them.")
    return role


def _scopes(server: "Server", patterns: Sequence[str]) -> frozenset[int]:
    from flowauth.services.servers import matching  # noqa: PLC0415

    for pattern in patterns:
        if not matching(server, [pattern]):
            raise Refused(f"The server '{server.name}' has no scope '{pattern}'.")
    return matching(server, patterns)


def _password(file: Path | None) -> str:
    """A new password: asked for twice at a terminal, or the first line of a file or of standard input."""
    if file is None and sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise Refused("The two passwords are not the same.")
        return password
    if file is None:
        raise Refused("There is no terminal to ask for the password at: give --password-file FILE, or - for a pipe.")
    text = sys.stdin.readline() if str(file) == "-" else file.read_text()
    return (text.splitlines() or [""])[0]


def _generated(file: Path | None) -> str:
    from flowauth.services.passwords import generated  # noqa: PLC0415

    if file is not None:
        raise Refused("Give --password-file or --generate, not both.")
    return generated()


def _say_generated(password: str) -> None:
    _say(f"The first password, for 7 days, to be changed at the first sign-in: {password}")


def _content(document: str) -> bytes:
    from flowauth.services.servers import fetch_document  # noqa: PLC0415

    return fetch_document(document) if _is_url(document) else Path(document).read_bytes()


def _is_url(document: str) -> bool:
    return document.startswith(("http://", "https://"))


def _ask(yes: bool, question: str) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused(f"{question} Give --yes to say so.")
    if not typer.confirm(question):
        raise Refused("Nothing was changed.")


def _when(given: str | None) -> dt.datetime | None:
    if given in (None, "none"):
        return None
    try:
        moment = dt.datetime.fromisoformat(given)
        if moment.tzinfo is not None:
            return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        pass
    raise Refused(f"'{given}' is no moment with its time zone; write it as 2027-01-31T18:00Z.")


def _minutes(days: float) -> int:
    # Bounded, so that what is no number or beyond all numbers is refused as a life that is too long.
    return round(min(days * 24 * 60, 1e12)) if days == days else 0  # noqa: PLR0124 - it is not, where it is no number


def _life(minutes: int) -> str:
    days, rest = divmod(minutes, 24 * 60)
    hours, left = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (left, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def _moment(moment: dt.datetime | None) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC" if moment else "none"


def _state(token: "Token", now: dt.datetime) -> str:
    if token.revoked is not None:
        return f"revoked: {token.revoked_because}"
    return "lives" if token.expiry > now else "expired"


def _table(*columns: str) -> Table:
    made = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column)
    return made


def _show(rows: Table) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _UNWATCHED
    console.print(rows)


def _say(text: str) -> None:
    Console(highlight=False, markup=False, emoji=False, soft_wrap=True).print(text)
