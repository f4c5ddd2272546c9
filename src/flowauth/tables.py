"""FlowAuth's tables. Those that FlowKit's FlowAuth has keep its names."""

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from flowkit_base.databases import Moment

LONGEST_NAME = 75
LONGEST_SCOPE = 512


class Base(DeclarativeBase):
    """The declared tables; `Base.metadata` is what migrations lead to."""

    type_annotation_map = {dt.datetime: Moment, dict[str, Any]: sa.JSON, list[str]: sa.JSON}  # noqa: RUF012


scopes_in_role = sa.Table(
    "scopes_in_role",
    Base.metadata,
    sa.Column("role_id", sa.ForeignKey("role.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("scope_id", sa.ForeignKey("scope.id", ondelete="CASCADE"), primary_key=True, index=True),
)
users_with_roles = sa.Table(
    "users_with_roles",
    Base.metadata,
    sa.Column("user_id", sa.ForeignKey("user.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("role_id", sa.ForeignKey("role.id", ondelete="CASCADE"), primary_key=True, index=True),
)
tokens_with_roles = sa.Table(
    "tokens_with_roles",
    Base.metadata,
    sa.Column("token_id", sa.ForeignKey("token_history.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("role_id", sa.ForeignKey("role.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class User(Base):
    """A person, or a program, that signs in."""

    __tablename__ = "user"
    __table_args__ = (sa.UniqueConstraint("provider_issuer", "provider_subject"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(sa.String(LONGEST_NAME), unique=True)
    password: Mapped[str | None] = mapped_column(sa.Text)
    """Its argon2id hash; None for who signs in with the provider alone."""
    password_expires: Mapped[dt.datetime | None]
    """Until when a first password counts that FlowAuth made; None for passwords that people chose."""
    is_admin: Mapped[bool] = mapped_column(default=False)
    require_two_factor: Mapped[bool] = mapped_column(default=False)
    provider_issuer: Mapped[str | None] = mapped_column(sa.String(512))
    """The OpenID Connect provider by which this person may sign in."""
    provider_subject: Mapped[str | None] = mapped_column(sa.String(255))
    """Who this is at that provider."""
    created: Mapped[dt.datetime]
    two_factor: Mapped["TwoFactor | None"] = relationship(cascade="all, delete-orphan", back_populates="user")
    roles: Mapped[list["Role"]] = relationship(secondary=users_with_roles, back_populates="users")


class TwoFactor(Base):
    """A person's second factor."""

    __tablename__ = "two_factor_auth"

    user_id: Mapped[int] = mapped_column(sa.ForeignKey("user.id", ondelete="CASCADE"), primary_key=True)
    enabled: Mapped[bool] = mapped_column(default=False)
    secret: Mapped[str] = mapped_column(sa.Text)
    """The secret of the codes, encrypted."""
    last_step: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    """The 30 seconds whose code was used last; no code of these or earlier ones counts again."""
    backups_created: Mapped[dt.datetime] = mapped_column("backups_made")
    """When the backup codes in force were."""
    user: Mapped[User] = relationship(back_populates="two_factor")
    backups: Mapped[list["BackupCode"]] = relationship(cascade="all, delete-orphan")


class BackupCode(Base):
    """A code that stands in once for one of the authenticator app; it is deleted when it is used."""

    __tablename__ = "two_factor_backup"

    id: Mapped[int] = mapped_column(primary_key=True)
    auth_id: Mapped[int] = mapped_column(sa.ForeignKey("two_factor_auth.user_id", ondelete="CASCADE"), index=True)
    code: Mapped[str] = mapped_column(sa.Text)
    """Its hash."""


class Server(Base):
    """A FlowAPI for which tokens are made; its name is the tokens' audience."""

    __tablename__ = "server"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(LONGEST_NAME), unique=True)
    latest_token_expiry: Mapped[dt.datetime | None]
    longest_token_life_minutes: Mapped[int]
    document_url: Mapped[str | None] = mapped_column(sa.Text)
    """Where the API's document is read again; None if it is uploaded."""
    document_requested: Mapped[dt.datetime | None] = mapped_column("document_asked")
    """When a FlowAuth began to read it at its address, of however many there are."""
    document_read: Mapped[dt.datetime | None]
    """When it was read last, and taken over."""
    document_problem: Mapped[str | None] = mapped_column(sa.Text)
    """Why it was not taken over at the last attempt, if it was not."""
    scopes: Mapped[list["Scope"]] = relationship(cascade="all, delete-orphan", back_populates="server")
    roles: Mapped[list["Role"]] = relationship(cascade="all, delete-orphan", back_populates="server")


class Scope(Base):
    """Something that a server lets a token do."""

    __tablename__ = "scope"
    __table_args__ = (sa.UniqueConstraint("name", "server_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(LONGEST_SCOPE))
    enabled: Mapped[bool] = mapped_column(default=True)
    """Whether new tokens may hold it."""
    server_id: Mapped[int] = mapped_column(sa.ForeignKey("server.id", ondelete="CASCADE"), index=True)
    server: Mapped[Server] = relationship(back_populates="scopes")


class Role(Base):
    """Scopes of one server that people hold together, within limits of time."""

    __tablename__ = "role"
    __table_args__ = (sa.UniqueConstraint("name", "server_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(LONGEST_NAME))
    server_id: Mapped[int] = mapped_column(sa.ForeignKey("server.id", ondelete="CASCADE"), index=True)
    latest_token_expiry: Mapped[dt.datetime | None]
    longest_token_life_minutes: Mapped[int]
    require_two_factor: Mapped[bool] = mapped_column(default=False)
    server: Mapped[Server] = relationship(back_populates="roles")
    scopes: Mapped[list[Scope]] = relationship(secondary=scopes_in_role)
    users: Mapped[list[User]] = relationship(secondary=users_with_roles, back_populates="roles")


class Token(Base):
    """A token that was made: all that is known of it but the token, which is shown once and not kept."""

    __tablename__ = "token_history"
    __table_args__ = (sa.Index("ix_token_history_kid_expiry", "kid", "expiry"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    jti: Mapped[str] = mapped_column(sa.String(36), unique=True)
    name: Mapped[str] = mapped_column(sa.String(LONGEST_NAME))
    issued: Mapped[dt.datetime]
    expiry: Mapped[dt.datetime] = mapped_column(index=True)
    kid: Mapped[str] = mapped_column(sa.String(64))
    """The key that it was signed with."""
    revoked: Mapped[dt.datetime | None]
    revoked_because: Mapped[str | None] = mapped_column(sa.Text)
    role_names: Mapped[list[str]]
    """The roles that it was made with, also those that are no more."""
    user_id: Mapped[int | None] = mapped_column(sa.ForeignKey("user.id", ondelete="SET NULL"), index=True)
    server_id: Mapped[int] = mapped_column(sa.ForeignKey("server.id", ondelete="CASCADE"), index=True)
    user: Mapped[User | None] = relationship()
    server: Mapped[Server] = relationship()
    roles: Mapped[list[Role]] = relationship(secondary=tokens_with_roles)


class SigningKey(Base):
    """A key pair: announced, then signing, then believed until its last token has expired."""

    __tablename__ = "signing_key"

    kid: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    private: Mapped[str] = mapped_column(sa.Text)
    """The private key, encrypted."""
    public: Mapped[str] = mapped_column(sa.Text)
    created: Mapped[dt.datetime]
    signs_from: Mapped[dt.datetime]
    """The key with the latest of these moments that has come signs."""
    withdrawn: Mapped[dt.datetime | None]
    """Since when it is believed no more, whatever it has signed."""


class SignIn(Base):
    """Somebody who is signed in, or has given a password and not yet the second factor."""

    __tablename__ = "sign_in"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    """The SHA-256 of what the cookie holds."""
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("user.id", ondelete="CASCADE"), index=True)
    began: Mapped[dt.datetime]
    seen: Mapped[dt.datetime]
    complete: Mapped[bool] = mapped_column(default=False)
    """Whether everything that signing in asks for was given."""
    confirmed: Mapped[dt.datetime | None]
    """When the password was given last, for what asks for it again."""
    provider_mfa: Mapped[bool] = mapped_column(default=False)
    """Whether the OpenID Connect provider has asked for a second factor itself."""
    first_password: Mapped[bool] = mapped_column(default=False)
    """Whether it began with a password that FlowAuth made, which is changed before anything else."""
    user: Mapped[User] = relationship()


class Attempts(Base):
    """How often something was tried of late, to slow guessing."""

    __tablename__ = "attempts"

    of: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    """The SHA-256 of what is counted: a name from an address, an address, a code of a person."""
    count: Mapped[int] = mapped_column(default=0)
    latest: Mapped[dt.datetime] = mapped_column(index=True)


class AuditRecord(Base):
    """One thing that was done, chained to the one before by its hash."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[dt.datetime]
    actor: Mapped[str] = mapped_column(sa.String(LONGEST_NAME))
    action: Mapped[str] = mapped_column(sa.String(64))
    subject: Mapped[str] = mapped_column(sa.Text)
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    previous: Mapped[str] = mapped_column(sa.String(64))
    hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
