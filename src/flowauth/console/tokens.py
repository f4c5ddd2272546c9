"""`flowkit auth tokens`."""

from typing import Annotated

import typer

from flowauth.console import named
from flowauth.console.terminal import actor, moment, opened, say, show
from flowauth.errors import NotThere

app = typer.Typer(help="Tokens that were made; none can be read again.", no_args_is_help=True)


@app.command("list")
def list_tokens(
    user: Annotated[str | None, typer.Option(help="Of this person alone.")] = None,
    server: Annotated[str | None, typer.Option(help="Of this server alone.")] = None,
    ended: Annotated[bool, typer.Option("--ended", help="Also those that have expired or were revoked.")] = False,
) -> None:
    """List the tokens that live."""
    from flowauth.services import tokens
    from flowauth.tables import Token

    with opened() as flowauth, flowauth.database.read() as session:
        select = tokens.search(
            user_id=None if user is None else named.user(session, user).id,
            server_id=None if server is None else named.server(session, server).id,
            which=None if ended else tokens.alive(),
        )
        rows = [
            (
                token.jti,
                token.user.username if token.user else "-",
                token.server.name,
                token.name,
                " ".join(sorted(role.name for role in token.roles)),
                moment(token.expiry),
                tokens.state(token),
            )
            for token in session.scalars(select.order_by(Token.expiry, Token.id))
        ]
    show(("number", "user", "server", "name", "roles", "ends", "state"), rows)


@app.command("revoke")
def revoke_token(
    number: Annotated[list[str], typer.Argument(metavar="NUMBER...", help="As `tokens list` shows it.")],
    because: Annotated[str, typer.Option(help="The reason.")] = "an administrator ended it",
) -> None:
    """Revoke tokens."""
    from flowauth.services import tokens

    with opened() as flowauth, flowauth.database.write() as session:
        for each in number:
            if (token := tokens.numbered(session, each)) is None:
                raise NotThere(f"There is no token {each}; `flowkit auth tokens list` lists them.")
            tokens.revoke(session, actor(), token, because)
    say(f"{len(number)} tokens are revoked; FlowAPIs learn of it within about a minute.")
