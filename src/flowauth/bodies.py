"""What the JSON API is asked and what it answers, as documents; FlowKit's names, and unknown fields are refused."""

import datetime as dt
from email.utils import format_datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from flowauth.access import LARGEST_NUMBER
from flowauth.services import servers

MOST_ROWS = 10_000
ROWS = 100


def _moment(given: object) -> object:
    """Read a moment as FlowKit writes it, or in any other form of RFC 3339."""
    if given is None or isinstance(given, dt.datetime):
        return given
    try:
        read = dt.datetime.fromisoformat(given) if isinstance(given, str) and "T" in given else None
        # At the calendar's ends, other zones have no such moment.
        told = read.astimezone(dt.UTC) if read is not None and read.tzinfo is not None else None
    except (ValueError, OverflowError):
        told = None
    if told is None:
        raise ValueError("write a moment as 2027-01-31T00:00:00.000000Z")
    return told


def _written(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _http(moment: dt.datetime) -> str:
    return format_datetime(moment.astimezone(dt.UTC), usegmt=True)


Number = Annotated[int, Field(ge=1, le=LARGEST_NUMBER)]
Name = Annotated[str, Field(max_length=200)]
Secret = Annotated[str, Field(max_length=1000)]
Moment = Annotated[
    dt.datetime,
    BeforeValidator(_moment),
    PlainSerializer(_written, return_type=str, when_used="json"),
    Field(json_schema_extra={"format": "date-time"}),
]
HttpDate = Annotated[
    dt.datetime,
    PlainSerializer(_http, return_type=str, when_used="json"),
    Field(json_schema_extra={"format": "http-date", "example": "Fri, 31 Dec 2027 00:00:00 GMT"}),
]
Words = Annotated[str, Query(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Most = Annotated[int, Query(ge=1, le=MOST_ROWS, description="The most rows that are told.")]
Whole = Annotated[
    int | None, Query(ge=1, le=MOST_ROWS, description="The most rows that are told; left out, all of them.")
]
After = Annotated[int, Query(ge=0, le=LARGEST_NUMBER, description="Rows that are left out before the first.")]


class Asked(BaseModel):
    """What is sent: nothing but the fields that are named, each of its own type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Told(BaseModel):
    """What is answered."""

    model_config = ConfigDict(extra="forbid")


class Credentials(Asked):
    """Who signs in."""

    username: Annotated[str, Field(max_length=1000)]
    password: Secret
    two_factor_code: Annotated[str, Field(max_length=100)] | None = None


class Flags(Told):
    """Whether somebody is signed in, and as what."""

    logged_in: bool
    is_admin: bool
    require_two_factor_setup: bool
    require_password_change: Annotated[bool, Field(description="Told only where it is so.")] = False


class SignedOut(Told):
    """Nobody is signed in any more."""

    logged_in: bool


class Version(Told):
    """Which FlowAuth this is."""

    version: str


class Done(Told):
    """It is done; nothing more is to be told."""


class Passwords(Asked):
    """The present password, and the one that it becomes."""

    password: Secret
    newPassword: Secret  # noqa: N815 - FlowKit's name


class Proposed(Told):
    """A second factor that is not stored yet."""

    provisioning_url: str
    secret: str
    issuer: str
    backup_codes: list[str]
    backup_codes_signature: str


class Confirmed(Asked):
    """What proves that the authenticator app has the secret.

    `present_code` where a second factor is replaced; `password` where signing in is more than ten minutes ago.
    """

    two_factor_code: Annotated[str, Field(max_length=100)]
    secret: Annotated[str, Field(max_length=200)]
    backup_codes_signature: Annotated[str, Field(max_length=10_000)]
    present_code: Annotated[str, Field(max_length=100)] | None = None
    password: Secret | None = None


class Off(Asked):
    """The password, and a code of the second factor that is to go."""

    password: Secret
    two_factor_code: Annotated[str, Field(max_length=100)]


class TwoFactorEnabled(Told):
    """Whether a second factor is set up."""

    two_factor_enabled: bool


class TwoFactorRequired(Told):
    """Whether a second factor is required."""

    require_two_factor: bool


class Codes(Told):
    """New backup codes, which count when they are confirmed."""

    backup_codes: list[str]
    backup_codes_signature: str


class CodesConfirmed(Asked):
    """The new backup codes' signature, and the password."""

    backup_codes_signature: Annotated[str, Field(max_length=10_000)]
    password: Secret


class ServerName(Told):
    """A server on which somebody holds a role."""

    id: int
    server_name: str


class Allowed(Told):
    """What somebody's tokens for a server can hold, and until when they can live."""

    allowed_claims: list[str]
    latest_expiry: HttpDate


class RoleName(Asked):
    """A role by its name; the number, where it is given, must be of the same role."""

    name: Name
    id: Number | None = None


class RoleTold(Told):
    """The name of a role."""

    name: str


class TokenTold(Told):
    """A token that was made; `token` is null, for it is told once only, when it is made."""

    id: int
    name: str
    token: None
    expires: HttpDate
    server_name: str
    username: str | None
    roles: list[RoleTold]
    issued: HttpDate
    revoked: HttpDate | None
    revoked_because: str | None


class NewToken(Asked):
    """The token that is wanted."""

    name: Name
    roles: Annotated[list[RoleName], Field(max_length=1000)]
    lifetime_minutes: Number | None = None


class Renewal(Asked):
    """How long the token that follows another is to live."""

    lifetime_minutes: Number | None = None


class TokenGiven(Told):
    """The token; `warning` says what makes it shorter than the one before."""

    token: str
    id: int
    expires: HttpDate
    warning: str | None


class Revoked(Told):
    """When a token was ended."""

    id: int
    revoked: HttpDate


class UserListed(Told):
    """A person in the list."""

    id: int
    name: str
    is_admin: bool
    has_two_factor: bool
    require_two_factor: bool


class UserTold(UserListed):
    """A person, with the numbers of their roles."""

    roles: list[int]


class UserSaved(UserTold):
    """A person as saved; a password that FlowAuth made is told this once, and is changed at the first sign-in."""

    generated_password: str | None = None
    password_expires: HttpDate | None = None


class NewUser(Asked):
    """A new person; without a password, one whom the OpenID Connect provider knows."""

    username: Name
    password: Secret | None = None
    generate_password: bool = False
    is_admin: bool = False
    require_two_factor: bool = False
    roles: Annotated[list[Number], Field(max_length=MOST_ROWS)] = []
    provider_issuer: Annotated[str, Field(max_length=512)] | None = None
    provider_subject: Annotated[str, Field(max_length=255)] | None = None
    your_password: Secret | None = None


class UserChange(Asked):
    """What is to become of a person; what is left out stays."""

    username: Name | None = None
    password: Secret | None = None
    generate_password: bool = False
    is_admin: bool | None = None
    has_two_factor: bool | None = None
    require_two_factor: bool | None = None
    roles: Annotated[list[Number], Field(max_length=MOST_ROWS)] | None = None
    your_password: Secret | None = None


class Ended(Told):
    """Something was taken away, and how many live tokens ended with it."""

    deleted: bool
    tokens_ended: int


class ServerListed(Told):
    """A server."""

    id: int
    name: str
    latest_token_expiry: Moment | None
    longest_token_life_minutes: int
    document_url: str | None
    document_read: Moment | None
    document_problem: str | None


class NewServer(Asked):
    """A new server: by its name, by its document, or by the address of its document."""

    name: Name | None = None
    latest_token_expiry: Moment | None = None
    longest_token_life_minutes: int
    scopes: Annotated[list[str] | dict[str, bool] | None, Field(description="Names, or names and whether enabled.")] = (
        None
    )
    document: dict[str, Any] | None = None
    document_url: Annotated[str, Field(max_length=2000)] | None = None


class ServerChange(Asked):
    """What is to become of a server; what is left out stays."""

    name: Name | None = None
    latest_token_expiry: Moment | None = None
    longest_token_life_minutes: int | None = None
    scopes: Annotated[list[str] | dict[str, bool] | None, Field(description="Names, or names and whether enabled.")] = (
        None
    )
    document_url: Annotated[str, Field(max_length=2000)] | None = None


class NewDocument(Asked):
    """A server's new document, or where it is; left out, it is read at the server's own address."""

    document: dict[str, Any] | None = None
    document_url: Annotated[str, Field(max_length=2000)] | None = None
    only_look: bool = False


class Differing(Told):
    """What a document changes: scopes that come and go, and how many each role loses."""

    added: list[str]
    gone: list[str]
    roles: dict[str, int]
    taken: bool


class TimeLimits(Told):
    """How long a server's tokens may live."""

    latest_token_expiry: HttpDate | None
    longest_token_life_minutes: int


class ScopeTold(Told):
    """A scope of a server."""

    id: int
    name: str
    enabled: bool


class PublicKey(Told):
    """The key that signs now, as PEM, and all that a FlowAPI is to believe, in a row."""

    public_key: str
    public_keys: str


class RoleListed(Told):
    """A role; its server, scopes and members by their numbers."""

    id: int
    name: str
    server: int
    scopes: list[int]
    users: list[int]
    latest_token_expiry: Moment | None
    longest_token_life_minutes: int
    require_two_factor: bool


class RoleOfMine(Told):
    """A role that somebody holds, with what it lets them do; other members are not told."""

    id: int
    name: str
    server: int
    scopes: list[int]
    scope_names: list[str]
    users: list[int]
    latest_token_expiry: Moment | None
    longest_token_life_minutes: int


class RoleShort(Told):
    """A role without its scopes and members."""

    id: int
    name: str
    server: int
    latest_token_expiry: Moment | None
    longest_token_life_minutes: int


class NewRole(Asked):
    """A new role; without limits of its own, it has its server's."""

    name: Name
    server_id: Number
    scopes: Annotated[list[Number], Field(max_length=servers.MOST_SCOPES)] = []
    users: Annotated[list[Number], Field(max_length=100_000)] = []
    latest_token_expiry: Moment | None = None
    longest_token_life_minutes: int | None = None
    require_two_factor: bool = False


class RoleChange(Asked):
    """What is to become of a role; what is left out stays."""

    name: Name | None = None
    server_id: Number | None = None
    scopes: Annotated[list[Number], Field(max_length=servers.MOST_SCOPES)] | None = None
    users: Annotated[list[Number], Field(max_length=100_000)] | None = None
    latest_token_expiry: Moment | None = None
    longest_token_life_minutes: int | None = None
    require_two_factor: bool | None = None


class Member(Told):
    """Somebody who holds a role."""

    id: int
    name: str


class KeyTold(Told):
    """A signing key; a FlowAPI believes those that are published."""

    kid: str
    public_key: str
    created: Moment
    signs_from: Moment
    withdrawn: Moment | None
    published: bool


class NewKey(Asked):
    """From when on a new key signs; left out, in an hour, so that every FlowAPI has it before."""

    signs_from: Moment | None = None


class Confirmation(Asked):
    """The password of who asks, for what a stolen session must not do."""

    your_password: Secret


class Withdrawn(Told):
    """A key that is believed no more, and how many live tokens ended with it."""

    kid: str
    tokens_ended: int


class Abilities(Told):
    """Who holds which roles on which server, and until when; null where no last day is set."""

    user_id: int
    username: str
    server_id: int
    server: str
    roles: list[str]
    tokens_end_by: Moment | None
    live_tokens: int
    last_live_token_ends: Moment | None


class Recorded(Told):
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


class Chain(Told):
    """Whether the audit log's chain holds; `first_broken` is the record at which it does not."""

    holds: bool
    records: int
    first_broken: int | None
    latest_hash: str
