"""`flowkit auth …`: what an administrator does on the machine itself, without a browser.

A subject is a module with a Typer. A command imports the service when it is called, so that `--help` loads little.
"""

import typer

from flowauth.console import audit, keys, revocations, roles, servers, tokens, users
from flowauth.console.terminal import say

app = typer.Typer(help="FlowAuth: people, roles, servers, tokens and keys.", no_args_is_help=True)
for subject in (users, servers, roles, tokens, keys, revocations, audit):
    app.add_typer(subject.app, name=subject.__name__.rpartition(".")[2])


@app.command()
def serve() -> None:
    """Serve FlowAuth on FLOWAUTH_HOST and FLOWAUTH_PORT until SIGTERM."""
    from flowauth.__main__ import serve as run

    run()


@app.command("fernet-key")
def fernet_key() -> None:
    """Print a new key for FLOWAUTH_FERNET_KEY."""
    from cryptography.fernet import Fernet

    say(Fernet.generate_key().decode())
