"""`flowkit auth keys`."""

import datetime as dt
import json
from pathlib import Path
from typing import Annotated

import typer

from flowauth.console.terminal import Yes, actor, ask, moment, opened, say, show

app = typer.Typer(help="The keys that tokens are signed with.", no_args_is_help=True)
STATES = {"signing": "signs", "past": "no more needed"}
"""What the list calls a state, if not by its own name."""


@app.command("list")
def list_keys() -> None:
    """List the signing keys, the latest first."""
    from flowauth.services import keys

    with opened() as flowauth, flowauth.database.read() as session:
        states = keys.states(session)
        rows = [
            (key.kid, moment(key.signs_from), STATES.get(states[key.kid], states[key.kid]))
            for key in session.scalars(keys.search())
        ]
    show(("key", "signs from", "state"), rows)


@app.command("announce")
def announce_key(
    hours: Annotated[float, typer.Option(min=0, max=8784, help="In how many hours it begins to sign.")] = 1,
) -> None:
    """Make a key that signs later on, when every FlowAPI has fetched it."""
    from flowauth.services import keys

    with opened() as flowauth:
        key = keys.make(flowauth.vault)
        with flowauth.database.write() as session:
            signs_from = dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)
            kid = keys.announce(session, key, actor(), signs_from).kid
    say(f"The key {kid} signs from {moment(signs_from)} on; FlowAPIs must have it before.")


@app.command("withdraw")
def withdraw_key(
    kid: Annotated[str, typer.Argument(metavar="KEY", help="As `keys list` shows it.")], yes: Yes = False
) -> None:
    """Believe a key no more, as when it has leaked; tokens that it has signed end."""
    from flowauth.services import keys

    with opened() as flowauth, flowauth.database.write() as session:
        ask(yes, f"Withdraw the key {kid}, so that tokens that it has signed end?")
        ended = keys.withdraw(session, actor(), kid)
    say(f"The key {kid} is withdrawn; {ended} live tokens ended.")


@app.command("export")
def export_keys(
    form: Annotated[
        str, typer.Option("--form", help="jwks (FLOWAPI_KEY_SET) or pem (PUBLIC_JWT_SIGNING_KEY).")
    ] = "pem",
    file: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Default: standard output.")] = None,
) -> None:
    """Write the public keys that a FlowAPI is to believe."""
    from flowauth.services import keys

    if form not in ("jwks", "pem"):
        raise typer.BadParameter("it is jwks or pem.", param_hint="--form")
    with opened() as flowauth, flowauth.database.read() as session:
        text = json.dumps(keys.key_set(session), indent=2) if form == "jwks" else keys.public_keys(session)
    if file is None:
        say(text.rstrip("\n"))
        return
    file.write_text(text.rstrip("\n") + "\n")
    say(f"The public keys are in {file}.")
