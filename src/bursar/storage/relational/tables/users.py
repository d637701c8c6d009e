"""Tables of people: who they are, their sessions and tokens, and the wrong passwords of late."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)

from bursar.storage.relational.tables.metadata import METADATA, UtcMoment

USERS = Table(
    "users",
    METADATA,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("email", String, nullable=False),
    Column("name", String, nullable=False),
    Column("state", String, nullable=False),
    Column("password_hash", String),
    Column("created_at", UtcMoment, nullable=False),
    Column("last_login_at", UtcMoment),
    # An address is unique within its tenant only: no tenant can find out about another's users.
    UniqueConstraint("tenant_id", "email"),
    Index("ix_users_order", "tenant_id", "created_at", "id"),
)

USER_LINKS = Table(
    "user_links",
    METADATA,
    # Of the secret in it: who reads this table can follow no link.
    Column("secret_hash", String, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    # Empty: for the first admin, who is nobody yet.
    Column("user_id", String, ForeignKey("users.id", ondelete="CASCADE")),
    Column("kind", String, nullable=False),
    Column("created_at", UtcMoment, nullable=False),
    Column("expires_at", UtcMoment, nullable=False),
    Column("created_by", String, nullable=False),
    # What its user may be allowed at most for it to count; empty: anything.
    Column("covers", String),
    Index("ix_user_links_user", "tenant_id", "user_id"),
)

LOGIN_SESSIONS = Table(
    "login_sessions",
    METADATA,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", String, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("started_at", UtcMoment, nullable=False),
    Column("expires_at", UtcMoment, nullable=False),
    Column("last_used_at", UtcMoment),
    Column("ended_at", UtcMoment),
    Column("end_reason", String),
    Column("address", String),
    Column("client", String),
    Index("ix_login_sessions_user", "tenant_id", "user_id", "started_at"),
)

REFRESH_TOKENS = Table(
    "refresh_tokens",
    METADATA,
    Column("token_hash", String, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("session_id", String, ForeignKey("login_sessions.id", ondelete="CASCADE"), nullable=False),
    Column("issued_at", UtcMoment, nullable=False),
    # Used ones are kept: one that comes again shows that it was stolen.
    Column("used_at", UtcMoment),
    Index("ix_refresh_tokens_session_id", "session_id"),
)

LOGIN_ATTEMPTS = Table(
    "login_attempts",
    METADATA,
    # Attempts are counted for tenants and addresses that don't exist too, hence no foreign key.
    Column("tenant_id", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("last_at", UtcMoment, nullable=False),
    Column("locked_until", UtcMoment),
    PrimaryKeyConstraint("tenant_id", "digest"),
    Index("ix_login_attempts_last_at", "last_at"),
)
