"""Administration: who can do what until when, what was done by whom, and which tokens were ended."""

import csv
import datetime as dt
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request
from sqlalchemy.orm import Session, joinedload
from starlette.responses import Response, StreamingResponse

from flowauth.access import Administrator, Id, Posted
from flowauth.pages.lists import asked, listed, wanted
from flowauth.pages.render import Unconfirmed, confirmation, moment, page, then, weigh
from flowauth.services import audit, tokens
from flowauth.tables import AuditRecord, Role, Server, Token, User, users_with_roles

router = APIRouter()
_MOST_NAMES = 8
"""Names of a list that the audit log tells on its page."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")
ROWS_AT_ONCE = 500


@router.get("/manage/access")
def access(request: Request, person: Administrator) -> Response:
    """Show who holds which roles on which server, and until when."""
    find, server_id = wanted(request), asked(request, "server", 0)
    with request.app.state.database.read() as session:
        rows = listed(session, request, pairs(find, server_id))
        offered = session.execute(sa.select(Server.id, Server.name).order_by(Server.name)).all()
        return page(
            request,
            "access.html",
            rows=rows,
            told=facts_of(session, rows.rows),
            find=find,
            server_id=server_id,
            servers=offered,
            query=request.url.query,
        )


@router.get("/manage/access.csv")
def access_file(request: Request, person: Administrator) -> Response:
    """Give the whole overview, or what is searched for, as CSV."""
    select = pairs(wanted(request), asked(request, "server", 0))
    database = request.app.state.database

    def lines() -> Iterator[str]:
        yield _line(["user", "server", "roles", "tokens_end_by", "live_tokens", "last_live_token_ends"])
        at = 0
        while True:
            with database.read() as session:
                rows = session.execute(select.limit(ROWS_AT_ONCE).offset(at)).all()
                told = facts_of(session, rows)
            for row, facts in zip(rows, told, strict=True):
                yield _line(
                    [
                        row.username,
                        row.server,
                        " ".join(facts["roles"]),
                        facts["latest"].isoformat() if facts["latest"] else "",
                        facts["live"],
                        facts["until"].isoformat() if facts["until"] else "",
                    ]
                )
            if len(rows) < ROWS_AT_ONCE:
                return
            at += ROWS_AT_ONCE

    headers = {"Content-Disposition": 'attachment; filename="flowauth-access.csv"'}
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/manage/audit")
def audit_log(request: Request, person: Administrator) -> Response:
    """Show what was done, the latest first."""
    find = wanted(request)
    actor, action = wanted(request, "actor"), wanted(request, "action")
    select: sa.Select[Any] = sa.select(AuditRecord).order_by(AuditRecord.id.desc())
    if actor:
        select = select.where(AuditRecord.actor == actor)
    if action:
        select = select.where(AuditRecord.action.startswith(action, autoescape=True))
    if find:
        select = select.where(AuditRecord.subject.icontains(find, autoescape=True))
    with request.app.state.database.read() as session:
        records = listed(session, request, select)
        latest = session.scalar(sa.select(AuditRecord.hash).order_by(AuditRecord.id.desc()).limit(1))
        return page(
            request,
            "audit.html",
            records=records,
            changes=[_changes(record) for record in records.rows],
            find=find,
            actor=actor,
            action=action,
            latest=latest or audit.BEGINNING,
        )


@router.post("/manage/audit")
def check_audit_log(request: Request, person: Administrator, form: Posted) -> Response:
    """Check the chain of the audit log."""
    with request.app.state.database.read() as session:
        broken = audit.first_broken(session)
        number = session.scalar(sa.select(sa.func.count()).select_from(AuditRecord)) or 0
    if broken is None:
        return then(request, "/manage/audit", f"The chain holds: none of the {number:,} records was changed.")
    said = f"The chain is broken at record {broken}: it, or one before it, was changed or taken out."
    return then(request, "/manage/audit", said)


@router.get("/manage/revocations")
def revocations(request: Request, person: Administrator) -> Response:
    """List the tokens that were ended before their time, and those that can be."""
    find, server_id = wanted(request), asked(request, "server", 0)
    now = dt.datetime.now(dt.UTC)
    alive = request.query_params.get("which") == "live"
    select: sa.Select[Any] = sa.select(Token).options(joinedload(Token.user), joinedload(Token.server))
    if alive:
        select = select.where(Token.expiry > now, Token.revoked.is_(None)).order_by(Token.expiry, Token.id)
    else:
        select = select.where(Token.revoked.is_not(None)).order_by(Token.revoked.desc(), Token.id.desc())
    if find:
        named = sa.select(User.id).where(User.username.icontains(find, autoescape=True))
        texts = (Token.name.icontains(find, autoescape=True), Token.jti == find, Token.user_id.in_(named))
        select = select.where(sa.or_(*texts))
    if server_id:
        select = select.where(Token.server_id == server_id)
    with request.app.state.database.read() as session:
        there = listed(session, request, select)
        offered = session.execute(sa.select(Server.id, Server.name).order_by(Server.name)).all()
        return page(
            request,
            "revocations.html",
            tokens=there,
            alive=alive,
            find=find,
            server_id=server_id,
            servers=offered,
            now=now,
        )


@router.post("/manage/revocations/{token_id}")
def revoke(request: Request, token_id: Id, person: Administrator, form: Posted) -> Response:
    """End anybody's token before its time."""
    back = "/manage/revocations?which=live"
    try:
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
    except Unconfirmed as asked_again:
        return confirmation(request, form, asked_again)
    return then(request, back, f"The token '{token.name}' of {owner} is revoked.")


def pairs(find: str, server_id: int) -> sa.Select[Any]:
    """Each person beside each server on which they hold a role."""
    # Pairs are told apart by their numbers, which takes half the time of their names.
    held = sa.select(users_with_roles.c.user_id, Role.server_id).join(Role, Role.id == users_with_roles.c.role_id)
    held = (held.where(Role.server_id == server_id) if server_id else held).distinct().subquery()
    select = (
        sa.select(User.id.label("user_id"), User.username, Server.id.label("server_id"), Server.name.label("server"))
        .join(held, held.c.user_id == User.id)
        .join(Server, Server.id == held.c.server_id)
        .order_by(User.username, Server.name)
    )
    return select.where(User.username.icontains(find, autoescape=True)) if find else select


def facts_of(session: Session, rows: Any) -> list[dict[str, Any]]:
    """What is told of each pair: roles, until when tokens can live, and the live tokens; two statements for all."""
    now = dt.datetime.now(dt.UTC)
    users = {row.user_id for row in rows}
    held = (
        sa.select(
            users_with_roles.c.user_id,
            Role.server_id,
            Role.name,
            Role.latest_token_expiry,
            Server.latest_token_expiry.label("of_server"),
        )
        .join(Role, Role.id == users_with_roles.c.role_id)
        .join(Server, Server.id == Role.server_id)
        .where(users_with_roles.c.user_id.in_(users))
        .order_by(Role.name)
    )
    told: dict[tuple[int, int], dict[str, Any]] = {}
    for row in session.execute(held):
        facts = told.setdefault((row.user_id, row.server_id), {"roles": [], "latest": now, "live": 0, "until": None})
        facts["roles"].append(row.name)
        ends = [end for end in (row.latest_token_expiry, row.of_server) if end is not None]
        # A role without a last day lets tokens be made for ever.
        if facts["latest"] is not None:
            facts["latest"] = max(facts["latest"], min(ends)) if ends else None
    live = (
        sa.select(Token.user_id, Token.server_id, sa.func.count(), sa.func.max(Token.expiry))
        .where(Token.user_id.in_(users), Token.expiry > now, Token.revoked.is_(None))
        .group_by(Token.user_id, Token.server_id)
    )
    for user_id, server_id, number, until in session.execute(live):
        if facts := told.get((user_id or 0, server_id)):
            facts["live"], facts["until"] = number, until
    return [told[row.user_id, row.server_id] for row in rows]


def _changes(record: AuditRecord) -> list[tuple[str, str, str]]:
    """What differs, field by field: what it was, and what it is; of lists, what went and what came."""
    before, after = record.before or {}, record.after or {}
    told = []
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        if name in before and name in after and was == now:
            continue
        if isinstance(was, list) and isinstance(now, list):
            was, now = [each for each in was if each not in now], [each for each in now if each not in was]
        told.append((name, _text(was), _text(now)))
    return told


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
