"""Administration: who can do what until when, what was done by whom, and which tokens were ended."""

import csv
import datetime as dt
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from flowauth.access import Administrator, Id, Posted
from flowauth.pages.lists import listed, query_number, query_text
from flowauth.pages.render import moment, page, then, weigh
from flowauth.services import audit, overview, servers, tokens
from flowauth.tables import AuditRecord, Token

router = APIRouter()
_MOST_NAMES = 8
"""Names of a list that the page of the audit log shows."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")
ROWS_AT_ONCE = 500


@router.get("/manage/access")
def access(request: Request, person: Administrator) -> Response:
    """Show who holds which roles on which server, and until when."""
    find, server_id = query_text(request), query_number(request, "server", 0)
    with request.app.state.database.read() as session:
        rows = listed(session, request, overview.pairs(find, server_id))
        return page(
            request,
            "access.html",
            rows=replace(rows, rows=overview.access(session, rows.rows)),
            find=find,
            server_id=server_id,
            servers=servers.names(session),
            query=request.url.query,
        )


@router.get("/manage/access.csv")
def access_file(request: Request, person: Administrator) -> Response:
    """Give the whole overview, or what is searched for, as CSV."""
    select = overview.pairs(query_text(request), query_number(request, "server", 0))
    database = request.app.state.database

    def lines() -> Iterator[str]:
        yield _line(["user", "server", "roles", "tokens_end_by", "live_tokens", "last_live_token_ends"])
        at = 0
        while True:
            with database.read() as session:
                rows = overview.access(session, session.execute(select.limit(ROWS_AT_ONCE).offset(at)).all())
            for row in rows:
                end, last = (
                    moment.isoformat() if moment else "" for moment in (row.tokens_end_by, row.last_live_token_ends)
                )
                yield _line([row.username, row.server, " ".join(row.roles), end, row.live_tokens, last])
            if len(rows) < ROWS_AT_ONCE:
                return
            at += ROWS_AT_ONCE

    headers = {"Content-Disposition": 'attachment; filename="flowauth-access.csv"'}
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/manage/audit")
def audit_log(request: Request, person: Administrator) -> Response:
    """Show what was done, the latest first."""
    find = query_text(request)
    actor, action = query_text(request, "actor"), query_text(request, "action")
    with request.app.state.database.read() as session:
        records = listed(session, request, audit.search(actor, action, find))
        return page(
            request,
            "audit.html",
            records=records,
            changes=[_changes(record) for record in records.rows],
            find=find,
            actor=actor,
            action=action,
            latest=audit.latest_hash(session),
        )


@router.post("/manage/audit")
def check_audit_log(request: Request, person: Administrator, form: Posted) -> Response:
    """Check the chain of the audit log."""
    with request.app.state.database.read() as session:
        chain = audit.check(session)
    if chain.broken is None:
        return then(request, "/manage/audit", f"The chain holds: none of the {chain.records:,} records was changed.")
    message = f"The chain is broken at record {chain.broken}: it, or one before it, was changed or deleted."
    return then(request, "/manage/audit", message, "wrong")


@router.get("/manage/revocations")
def revocations(request: Request, person: Administrator) -> Response:
    """List the tokens that were ended before their time, and those that can be."""
    find, server_id = query_text(request), query_number(request, "server", 0)
    alive = request.query_params.get("which") == "live"
    select = tokens.search(find, server_id=server_id, which=tokens.alive() if alive else Token.revoked.is_not(None))
    order = (Token.expiry, Token.id) if alive else (Token.revoked.desc(), Token.id.desc())
    with request.app.state.database.read() as session:
        return page(
            request,
            "revocations.html",
            tokens=listed(session, request, select.order_by(*order)),
            alive=alive,
            find=find,
            server_id=server_id,
            servers=servers.names(session),
            now=dt.datetime.now(dt.UTC),
        )


@router.post("/manage/revocations/{token_id}")
def revoke(request: Request, token_id: Id, person: Administrator, form: Posted) -> Response:
    """End anybody's token before its time."""
    back = "/manage/revocations?which=live"
    with request.app.state.database.write() as session:
        token = tokens.find(session, token_id, None)
        owner = token.user.username if token.user else "somebody who was deleted"
        tokens.revoke(session, person.user.username, token, "an administrator ended it")
        weigh(
            form,
            f"Revoke the token '{token.name}' of {owner}?",
            [
                f"Programs of {owner} that use it are refused by {token.server.name}.",
                f"It would have lived until {moment(token.expiry)}; it cannot be brought back.",
            ],
            "Revoke it",
            back,
        )
    return then(request, back, f"The token '{token.name}' of {owner} is revoked.")


def _changes(record: AuditRecord) -> list[tuple[str, str, str]]:
    """What differs, field by field: what it was, and what it is; of lists, what went and what came."""
    before, after = record.before or {}, record.after or {}
    changes = []
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        if name in before and name in after and was == now:
            continue
        if isinstance(was, list) and isinstance(now, list):
            was, now = [each for each in was if each not in now], [each for each in now if each not in was]
        changes.append((name, _text(was), _text(now)))
    return changes


def _text(value: Any, most: int = 160) -> str:
    if value is None or value in ("", []):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        text = ", ".join(str(each) for each in value[:_MOST_NAMES])
        return text if len(value) <= _MOST_NAMES else f"{text} and {len(value) - _MOST_NAMES:,} more"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if _MOMENT.fullmatch(text):
        return moment(dt.datetime.fromisoformat(text))
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def _line(values: list[Any]) -> str:
    """A line of CSV that no spreadsheet takes for a formula."""
    line = io.StringIO()
    risky = ("=", "+", "-", "@", "\t", "\r")
    csv.writer(line).writerow(
        [f"'{each}" if isinstance(each, str) and each.startswith(risky) else each for each in values]
    )
    return line.getvalue()
