"""Users, servers and roles by the names that are given on the command line; NotThere says how to list them."""

from typing import TYPE_CHECKING, Annotated

import typer

from flowauth.errors import NotThere, Refused

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from flowauth.tables import Role, Server, User

UserName = Annotated[str, typer.Argument(metavar="USER", help="Their name.")]
ServerName = Annotated[str, typer.Argument(metavar="SERVER", help="Its name.")]
RoleName = Annotated[str, typer.Argument(metavar="ROLE", help="Its name.")]


def user(session: "Session", name: str) -> "User":
    """A user by name."""
    from flowauth.services import people

    if (user := people.named(session, name)) is None:
        raise NotThere(f"There is no user '{name}'; `flowkit auth users list` lists them.")
    return user


def server(session: "Session", name: str) -> "Server":
    """A server by name."""
    from flowauth.services import servers

    try:
        return servers.named(session, name)
    except NotThere:
        raise NotThere(f"There is no server '{name}'; `flowkit auth servers list` lists them.") from None


def role(session: "Session", full_name: str) -> "Role":
    """A role as SERVER:ROLE."""
    from flowauth.services import roles

    owner, colon, name = full_name.rpartition(":")
    if not colon:
        raise Refused(f"'{full_name}' names no role: write it as SERVER:ROLE.")
    if (role := roles.named(session, server(session, owner), name)) is None:
        raise NotThere(f"The server '{owner}' has no role '{name}'; `flowkit auth roles list` lists them.")
    return role
