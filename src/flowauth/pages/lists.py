"""Long lists, a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from fastapi import Request
from sqlalchemy.orm import Session

PAGE = 50
"""Rows of a page."""


@dataclass(frozen=True)
class Listed:
    """One page of a list: its rows, how many there are in all, and where the pages before and after are."""

    rows: Sequence[Any]
    total: int
    first: int
    before: str | None
    after: str | None

    @property
    def last(self) -> int:
        """The number of the last row here."""
        return self.first + len(self.rows) - 1


def listed(session: Session, request: Request, select: sa.Select[Any], name: str = "page", size: int = PAGE) -> Listed:
    """Read the page that the address names of what a statement selects."""
    total = session.scalar(sa.select(sa.func.count()).select_from(select.order_by(None).subquery())) or 0
    pages = max(1, -(-total // size))
    number = min(max(1, query_number(request, name, 1)), pages)
    rows = session.execute(select.limit(size).offset((number - 1) * size)).unique().all()
    rows = [row[0] if len(row) == 1 else row for row in rows]

    def at(other: int) -> str | None:
        if not 1 <= other <= pages:
            return None
        kept = [(key, value) for key, value in request.query_params.multi_items() if key != name and value]
        return "?" + urlencode([*kept, (name, other)])

    return Listed(rows, total, (number - 1) * size + 1, at(number - 1), at(number + 1))


def query_number(request: Request, name: str, otherwise: int) -> int:
    """A number that the address names."""
    given = request.query_params.get(name, "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 10 else otherwise


def query_text(request: Request, name: str = "find") -> str:
    """The text that is searched for."""
    # No name has what cannot be printed, and PostgreSQL takes no NUL.
    return "".join(filter(str.isprintable, request.query_params.get(name, ""))).strip()[:100]
