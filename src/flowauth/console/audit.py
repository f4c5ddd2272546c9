"""`flowkit auth audit`."""

import json
from typing import Annotated

import typer

from flowauth.console.terminal import moment, opened, say, show
from flowauth.errors import Refused

app = typer.Typer(help="The audit log.", no_args_is_help=True)


@app.command("show")
def show_audit(
    number: Annotated[int, typer.Option("--last", min=1, help="So many records.")] = 50,
    action: Annotated[str, typer.Option(help="Only what begins with this, such as role. or sign_in.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each record, whole.")] = False,
) -> None:
    """Show what was done, the latest last."""
    from flowauth.services import audit
    from flowauth.tables import AuditRecord

    with opened() as flowauth, flowauth.database.read() as session:
        records = list(session.scalars(audit.search(action=action).limit(number)))[::-1]
        session.expunge_all()
    if as_json:
        for record in records:
            whole = {column.key: getattr(record, column.key) for column in AuditRecord.__table__.columns}
            say(json.dumps(whole | {"at": record.at.isoformat()}, ensure_ascii=False))
        return
    rows = []
    for each in records:
        before, after = (json.dumps(side, ensure_ascii=False) if side else "" for side in (each.before, each.after))
        rows.append((each.id, moment(each.at), each.actor, each.action, each.subject, before, after))
    show(("record", "when", "who", "what", "to whom or what", "before", "after"), rows)


@app.command("verify")
def verify_audit() -> None:
    """Check that no record was changed or deleted; note the last hash elsewhere now and then."""
    from flowauth.services import audit

    with opened() as flowauth, flowauth.database.read() as session:
        chain = audit.check(session)
    if chain.broken is not None:
        raise Refused(f"The chain is broken at record {chain.broken}: it, or one before it, was changed or deleted.")
    say(f"The chain of {chain.records} records holds; its last hash is {chain.latest}.")
