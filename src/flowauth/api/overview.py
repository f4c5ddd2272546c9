"""Who can do what, and what was done, by script, for administrators."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from flowauth.access import LARGEST_NUMBER, Administrator
from flowauth.api.documents import ROWS, After, Answer, Moment, Most, Words
from flowauth.services import audit, overview
from flowauth.tables import AuditRecord

own = APIRouter(tags=["overview"])


class Abilities(Answer):
    """Who holds which roles on which server, and until when; null if no last day is set."""

    user_id: int
    username: str
    server_id: int
    server: str
    roles: list[str]
    tokens_end_by: Moment | None
    live_tokens: int
    last_live_token_ends: Moment | None


class Recorded(Answer):
    """A record of the audit log."""

    id: int
    at: Moment
    actor: str
    action: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    previous: str
    hash: str


class Chain(Answer):
    """Whether the audit log's chain holds; `first_broken` is the record at which it does not."""

    holds: bool
    records: int
    first_broken: int | None
    latest_hash: str


@own.get("/admin/access")
def who_can_do_what(  # noqa: PLR0917
    request: Request,
    person: Administrator,
    user: Words = "",
    server_id: Annotated[int, Query(ge=0, le=LARGEST_NUMBER)] = 0,
    limit: Most = ROWS,
    offset: After = 0,
) -> list[Abilities]:
    """List who holds which roles on which server, and until when."""
    with request.app.state.database.read() as session:
        rows = session.execute(overview.pairs(user, server_id).limit(limit).offset(offset)).all()
        return [Abilities.model_validate(each) for each in overview.access(session, rows)]


@own.get("/admin/audit")
def audit_log(  # noqa: PLR0917
    request: Request,
    person: Administrator,
    actor: Words = "",
    action: Words = "",
    subject: Words = "",
    before: Annotated[int | None, Query(ge=1, le=LARGEST_NUMBER, description="Only records of lower numbers.")] = None,
    limit: Most = ROWS,
) -> list[Recorded]:
    """List what was done, the latest first; `action` is the beginning of one, such as `role.`."""
    select = audit.search(actor, action, subject).limit(limit)
    if before is not None:
        select = select.where(AuditRecord.id < before)
    with request.app.state.database.read() as session:
        return [Recorded.model_validate(each) for each in session.scalars(select)]


@own.get("/admin/audit/verify")
def check_audit_log(request: Request, person: Administrator) -> Chain:
    """Check the chain of the audit log."""
    with request.app.state.database.read() as session:
        chain = audit.check(session)
    return Chain(holds=chain.broken is None, records=chain.records, first_broken=chain.broken, latest_hash=chain.latest)
