"""What the documents of the JSON API are made of; FlowKit's names, and unknown fields are refused."""

import datetime as dt
from dataclasses import replace
from email.utils import format_datetime
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from flowauth.access import LARGEST_NUMBER
from flowauth.services.limits import Limits

MOST_ROWS = 10_000
ROWS = 100


def _moment(value: object) -> object:
    """Read a moment as FlowKit writes it, or in any other form of RFC 3339."""
    if value is None or isinstance(value, dt.datetime):
        return value
    try:
        moment = dt.datetime.fromisoformat(value) if isinstance(value, str) and "T" in value else None
        # At the calendar's ends, other zones have no such moment.
        in_utc = moment.astimezone(dt.UTC) if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        in_utc = None
    if in_utc is None:
        raise ValueError("write a moment as 2027-01-31T00:00:00.000000Z")
    return in_utc


def _iso(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _http(moment: dt.datetime) -> str:
    return format_datetime(moment.astimezone(dt.UTC), usegmt=True)


Number = Annotated[int, Field(ge=1, le=LARGEST_NUMBER)]
Name = Annotated[str, Field(max_length=200)]
Secret = Annotated[str, Field(max_length=1000)]
Code = Annotated[str, Field(max_length=100)]
Signed = Annotated[str, Field(max_length=10_000)]
Moment = Annotated[
    dt.datetime,
    BeforeValidator(_moment),
    PlainSerializer(_iso, return_type=str, when_used="json"),
    Field(json_schema_extra={"format": "date-time"}),
]
HttpDate = Annotated[
    dt.datetime,
    PlainSerializer(_http, return_type=str, when_used="json"),
    Field(json_schema_extra={"format": "http-date", "example": "Fri, 31 Dec 2027 00:00:00 GMT"}),
]
Words = Annotated[str, Query(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Most = Annotated[int, Query(ge=1, le=MOST_ROWS, description="The most rows of the answer.")]
Whole = Annotated[int | None, Query(ge=1, le=MOST_ROWS, description="The most rows of the answer; left out, all rows.")]
After = Annotated[int, Query(ge=0, le=LARGEST_NUMBER, description="Rows that are left out before the first.")]
Filter = Annotated[int | None, Query(ge=1, le=LARGEST_NUMBER)]


class Body(BaseModel):
    """What is sent: no fields but those that are named, each of its own type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Limited(Body):
    """Limits of tokens that may be left out."""

    latest_token_expiry: Moment | None = None
    longest_token_life_minutes: int | None = None

    def limits(self, before: Limits) -> Limits:
        """The limits as sent; what is left out is as before."""
        latest = (
            self.latest_token_expiry if "latest_token_expiry" in self.model_fields_set else before.latest_token_expiry
        )
        minutes = self.longest_token_life_minutes
        return replace(
            before,
            latest_token_expiry=latest,
            longest_token_life_minutes=before.longest_token_life_minutes if minutes is None else minutes,
        )


class Answer(BaseModel):
    """What is answered; made of a row by `model_validate`."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)


class Ended(Answer):
    """Something was deleted, and how many live tokens ended with it."""

    deleted: bool
    tokens_ended: int
