"""Credentials for providers: sealed, with who did what to them and when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Make the table; its rows go with their tenant."""
    tenant = sa.ForeignKey("tenants.id", name="fk_credentials_tenant_id", ondelete="CASCADE")
    op.create_table(
        "credentials",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("tenant_id", sa.String, tenant, nullable=False),
        sa.Column("provider", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("hint", sa.String, nullable=False),
        sa.Column("key_id", sa.String),
        sa.Column("wrapped_key", sa.Text),
        sa.Column("sealed", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True)),
        sa.Column("replaced_by", sa.String),
        sa.Column("revoked_as", sa.String, nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_by", sa.String),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.Column("last_used_for", sa.String),
        sa.PrimaryKeyConstraint("id", name="pk_credentials"),
        sa.UniqueConstraint("tenant_id", "provider", "name", "revoked_as", name="uq_credentials_name"),
    )
    op.create_index("ix_credentials_order", "credentials", ["tenant_id", "created_at", "id"])
    op.create_index("ix_credentials_key_id", "credentials", ["key_id", "id"])
