"""`flowkit auth roles`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from flowauth.console import limits, named
from flowauth.console.limits import Days, Latest
from flowauth.console.named import RoleName, ServerName
from flowauth.console.terminal import Yes, actor, ask, moment, opened, say, show
from flowauth.errors import Refused

if TYPE_CHECKING:
    from flowauth.tables import Server

app = typer.Typer(help="Roles, each of one server.", no_args_is_help=True)


@app.command("list")
def list_roles(server: Annotated[str | None, typer.Option(help="Of this server alone.")] = None) -> None:
    """List the roles."""
    from flowauth.services import roles

    with opened() as flowauth, flowauth.database.read() as session:
        number = None if server is None else named.server(session, server).id
        listed = session.scalars(roles.search(server_id=number)).all()
        scopes, members = roles.scope_counts(session, listed), roles.member_counts(session, listed)
        rows = [
            (
                role.server.name,
                role.name,
                scopes.get(role.id, 0),
                members.get(role.id, 0),
                limits.life(role.longest_token_life_minutes),
                moment(role.latest_token_expiry),
            )
            for role in listed
        ]
    show(("server", "role", "scopes", "members", "longest life", "latest expiry"), rows)


@app.command("add")
def add_role(
    server: ServerName,
    name: RoleName,
    scope: Annotated[list[str], typer.Option("--scope", metavar="PATTERN", help="Scopes, with * for any.")],
    member: Annotated[list[str], typer.Option("--member", metavar="USER", help="Who holds it.")] = [],  # noqa: B006
    longest_life_days: Days = None,
    latest_expiry: Latest = None,
    require_two_factor: Annotated[bool, typer.Option("--require-two-factor", help="Only with two-factor.")] = False,
) -> None:
    """Make a role of a server; limits that are left out are its server's."""
    from flowauth.services import roles
    from flowauth.services.limits import Limits

    with opened() as flowauth, flowauth.database.write() as session:
        owner = named.server(session, server)
        new = limits.changed(Limits.of(owner), longest_life_days, latest_expiry)
        members = frozenset(named.user(session, each).id for each in member)
        scopes = _scopes(owner, scope)
        roles.create(session, actor(), owner, roles.Definition(name, scopes, members, new, require_two_factor))
    say(f"The role '{name}' of '{server}' is there, with {len(scopes)} scopes.")


@app.command("change")
def change_role(
    server: ServerName,
    name: RoleName,
    new_name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    scope: Annotated[
        list[str], typer.Option("--scope", metavar="PATTERN", help="All scopes that it is to have; others go.")
    ] = [],  # noqa: B006
    give: Annotated[list[str], typer.Option("--give", metavar="USER", help="Give it to somebody.")] = [],  # noqa: B006
    take: Annotated[list[str], typer.Option("--take", metavar="USER", help="Take it from somebody.")] = [],  # noqa: B006
    longest_life_days: Days = None,
    latest_expiry: Latest = None,
    require_two_factor: Annotated[bool | None, typer.Option("--require-two-factor/--allow-one-factor")] = None,
) -> None:
    """Change a role; tokens that it gives less than before end."""
    from flowauth.services import roles

    with opened() as flowauth, flowauth.database.write() as session:
        role = named.role(session, f"{server}:{name}")
        before = roles.present(session, role)
        given, taken = (frozenset(named.user(session, each).id for each in names) for names in (give, take))
        definition = replace(
            before,
            name=new_name or before.name,
            scopes=_scopes(role.server, scope) if scope else before.scopes,
            users=before.users - taken | given,
            limits=limits.changed(before.limits, longest_life_days, latest_expiry),
            require_two_factor=before.require_two_factor if require_two_factor is None else require_two_factor,
        )
        ended = roles.change(session, actor(), role, definition)
    say(f"The role '{name}' of '{server}' is changed; {ended} live tokens ended.")


@app.command("remove")
def remove_role(server: ServerName, name: RoleName, yes: Yes = False) -> None:
    """Delete a role; tokens that were made with it end."""
    from flowauth.services import roles

    with opened() as flowauth, flowauth.database.write() as session:
        role = named.role(session, f"{server}:{name}")
        ask(yes, f"Remove the role '{name}' of '{server}', which {len(role.users)} people hold?")
        ended = roles.delete(session, actor(), role)
    say(f"The role '{name}' of '{server}' is removed; {ended} live tokens ended.")


def _scopes(server: "Server", patterns: Sequence[str]) -> frozenset[int]:
    from flowauth.services.servers import matching

    for pattern in patterns:
        if not matching(server, [pattern]):
            raise Refused(f"The server '{server.name}' has no scope '{pattern}'.")
    return matching(server, patterns)
