"""`flowkit auth servers`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowauth.console import limits, named
from flowauth.console.limits import Days, Latest
from flowauth.console.named import ServerName
from flowauth.console.terminal import Yes, actor, ask, moment, opened, say, show
from flowauth.errors import Refused

if TYPE_CHECKING:
    from flowauth.services.servers import Document

app = typer.Typer(help="The FlowAPIs for which tokens are made.", no_args_is_help=True)


@app.command("list")
def list_servers() -> None:
    """List the servers."""
    from flowauth.services import servers

    with opened() as flowauth, flowauth.database.read() as session:
        rows = [
            (
                server.name,
                scopes,
                roles,
                limits.life(server.longest_token_life_minutes),
                moment(server.latest_token_expiry),
                server.document_url or "by file",
                server.document_problem or "",
            )
            for server, scopes, roles in session.execute(servers.search())
        ]
    show(("server", "scopes", "roles", "longest life", "latest expiry", "document", "problem"), rows)


@app.command("add")
def add_server(
    document: Annotated[str, typer.Argument(metavar="FILE|URL", help="Its openapi.json, or where it answers.")],
    longest_life_days: Annotated[float, typer.Option(help="Days that a token lives at the most.")] = 1,
    latest_expiry: Latest = None,
) -> None:
    """Add a server by its document; one that is given by its address is kept in step."""
    from flowauth.services import servers
    from flowauth.services.limits import Limits

    new = Limits(limits.when(latest_expiry), limits.minutes(longest_life_days))
    content = _document(document)
    with opened() as flowauth, flowauth.database.write() as session:
        server = servers.create(session, actor(), content, new, document if _is_url(document) else None)
        name = server.name
    say(f"The server '{name}' is there, with {len(content.scopes)} scopes; make its roles next.")


@app.command("update")
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
    from flowauth.services import servers
    from flowauth.services.limits import Limits

    with opened() as flowauth:
        with flowauth.database.read() as session:
            source = document or named.server(session, name).document_url
        has_limits = longest_life_days is not None or latest_expiry is not None
        only_limits = document is None and has_limits
        if source is None and not only_limits:
            raise Refused(f"The document of '{name}' is not kept in step; name the file or address of the new one.")
        content = None if only_limits or source is None else _document(source)
        with flowauth.database.write() as session:
            server = named.server(session, name)
            if has_limits:
                new = limits.changed(Limits.of(server), longest_life_days, latest_expiry)
                servers.change(session, actor(), server, new, server.document_url)
            done = f"The server '{name}' is changed."
            if content is not None:
                changed = servers.difference(session, server, content)
                if changed.gone:
                    say(f"{len(changed.gone)} scopes go: {', '.join(sorted(changed.gone)[:20])}.")
                    for role, number in sorted(changed.roles.items()):
                        say(f"The role '{role}' loses {number} of its scopes.")
                    ask(yes, "Take the document over?")
                servers.follow(session, actor(), server, content)
                done = f"The server '{name}' has {len(changed.added)} new scopes; {len(changed.gone)} went."
    say(done)


@app.command("remove")
def remove_server(name: ServerName, yes: Yes = False) -> None:
    """Delete a server with its roles; its tokens live on until they expire."""
    from flowauth.services import servers

    with opened() as flowauth, flowauth.database.write() as session:
        server = named.server(session, name)
        ask(yes, f"Remove the server '{name}' and its {len(server.roles)} roles? Its tokens can no longer be revoked.")
        servers.delete(session, actor(), server)
    say(f"The server '{name}' is removed.")


def _document(source: str) -> "Document":
    from flowauth.services.servers import fetch_document, read_document

    return read_document(fetch_document(source) if _is_url(source) else Path(source).read_bytes())


def _is_url(document: str) -> bool:
    return document.startswith(("http://", "https://"))
