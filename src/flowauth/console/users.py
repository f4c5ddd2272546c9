"""`flowkit auth users`."""

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from flowauth.console import named
from flowauth.console.named import UserName
from flowauth.console.terminal import Yes, actor, ask, opened, say, show
from flowauth.errors import Refused

app = typer.Typer(help="People.", no_args_is_help=True)
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="FILE", help="Read the password from a file, or - for standard input."),
]
Generate = Annotated[
    bool,
    typer.Option("--generate", help="Make the password: printed once, valid 7 days, to be changed at first sign-in."),
]


@app.command("list")
def list_users() -> None:
    """List the people."""
    from flowauth.services import people

    with opened() as flowauth, flowauth.database.read() as session:
        everybody = flowauth.settings.flowauth_require_two_factor
        rows = []
        for user in people.everybody(session):
            required = people.needs_two_factor(user, everybody)
            second = "on" if people.has_two_factor(user) else "required" if required else "off"
            names = sorted(f"{role.server.name}:{role.name}" for role in user.roles)
            rows.append((user.username, "yes" if user.is_admin else "", second, " ".join(names)))
    show(("user", "administrator", "two-factor", "roles"), rows)


@app.command("add")
def add_user(
    name: UserName,
    administrator: Annotated[bool, typer.Option("--administrator", help="May administer FlowAuth.")] = False,
    require_two_factor: Annotated[bool, typer.Option("--require-two-factor", help="Must use two-factor.")] = False,
    role: Annotated[
        list[str], typer.Option("--role", metavar="SERVER:ROLE", help="A role of theirs; may be given several times.")
    ] = [],  # noqa: B006 - Typer's way to say none
    password_file: PasswordFile = None,
    generate: Generate = False,
) -> None:
    """Add a person; the password is asked for, read from a file, or made and printed once."""
    from flowauth.services import people

    with opened() as flowauth:
        password = _generated(password_file) if generate else _password(password_file)
        with flowauth.database.write() as session:
            people.create(
                session,
                actor(),
                name,
                password,
                generated=generate,
                is_admin=administrator,
                require_two_factor=require_two_factor,
                roles=frozenset(named.role(session, each).id for each in role),
            )
    say(f"The user '{name}' is there.")
    if generate:
        _say_generated(password)


@app.command("change")
def change_user(
    name: UserName,
    administrator: Annotated[bool | None, typer.Option("--administrator/--no-administrator")] = None,
    require_two_factor: Annotated[bool | None, typer.Option("--require-two-factor/--allow-one-factor")] = None,
    role: Annotated[list[str], typer.Option("--role", metavar="SERVER:ROLE", help="Give a role.")] = [],  # noqa: B006
    take: Annotated[list[str], typer.Option("--take", metavar="SERVER:ROLE", help="Delete a role.")] = [],  # noqa: B006
    password: Annotated[bool, typer.Option("--password", help="Ask for a new password.")] = False,
    password_file: PasswordFile = None,
    generate: Generate = False,
) -> None:
    """Change a person's rights, roles or password; tokens of a role that is taken end."""
    from flowauth.services import people

    with opened() as flowauth:
        new = _generated(password_file) if generate else None
        if new is None and (password or password_file is not None):
            new = _password(password_file)
        with flowauth.database.write() as session:
            user = named.user(session, name)
            given, taken = ({named.role(session, each).id for each in names} for names in (role, take))
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
    say(f"The user '{name}' is changed.")
    if generate and new is not None:
        _say_generated(new)


@app.command("remove")
def remove_user(name: UserName, yes: Yes = False) -> None:
    """Delete a person; their tokens end."""
    from flowauth.services import people

    with opened() as flowauth, flowauth.database.write() as session:
        user = named.user(session, name)
        ask(yes, f"Remove the user '{name}', whose tokens end?")
        ended = people.delete(session, actor(), user)
    say(f"The user '{name}' is removed; {ended} live tokens ended.")


@app.command("reset-two-factor")
def reset_two_factor(name: UserName) -> None:
    """Remove somebody's second factor, as when the phone is lost."""
    from flowauth.services import people

    with opened() as flowauth, flowauth.database.write() as session:
        user = named.user(session, name)
        if user.two_factor is None:
            raise Refused(f"'{name}' has not set two-factor up.")
        people.change(session, actor(), user, reset_two_factor=True)
    say(f"Two-factor of '{name}' is reset; they are signed out and set it up again.")


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
    from flowauth.services.passwords import generated

    if file is not None:
        raise Refused("Give --password-file or --generate, not both.")
    return generated()


def _say_generated(password: str) -> None:
    say(f"The first password, for 7 days, to be changed at the first sign-in: {password}")
