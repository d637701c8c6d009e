"""People, their sessions and refresh tokens, and the wrong passwords of late."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Make the tables; all but the attempts go with their tenant by themselves."""
    _make_users()
    _make_sessions()
    op.create_table(
        "login_attempts",
        sa.Column("tenant_id", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name="pk_login_attempts"),
    )
    op.create_index("ix_login_attempts_last_at", "login_attempts", ["last_at"])


def _make_users() -> None:
    tenant = sa.ForeignKey("tenants.id", name="fk_users_tenant_id", ondelete="CASCADE")
    op.create_table(
        "users",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("tenant_id", sa.String, tenant, nullable=False),
        sa.Column("email", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("password_hash", sa.String),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_login_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("tenant_id", "email", name="uq_users_tenant_id"),
    )
    op.create_index("ix_users_order", "users", ["tenant_id", "created_at", "id"])


def _make_sessions() -> None:
    tenant = sa.ForeignKey("tenants.id", name="fk_login_sessions_tenant_id", ondelete="CASCADE")
    user = sa.ForeignKey("users.id", name="fk_login_sessions_user_id", ondelete="CASCADE")
    op.create_table(
        "login_sessions",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("tenant_id", sa.String, tenant, nullable=False),
        sa.Column("user_id", sa.String, user, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("end_reason", sa.String),
        sa.Column("address", sa.String),
        sa.Column("client", sa.String),
        sa.PrimaryKeyConstraint("id", name="pk_login_sessions"),
    )
    op.create_index("ix_login_sessions_user", "login_sessions", ["tenant_id", "user_id", "started_at"])
    tenant = sa.ForeignKey("tenants.id", name="fk_refresh_tokens_tenant_id", ondelete="CASCADE")
    session = sa.ForeignKey("login_sessions.id", name="fk_refresh_tokens_session_id", ondelete="CASCADE")
    op.create_table(
        "refresh_tokens",
        sa.Column("token_hash", sa.String, nullable=False),
        sa.Column("tenant_id", sa.String, tenant, nullable=False),
        sa.Column("session_id", sa.String, session, nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("token_hash", name="pk_refresh_tokens"),
    )
    op.create_index("ix_refresh_tokens_session_id", "refresh_tokens", ["session_id"])
