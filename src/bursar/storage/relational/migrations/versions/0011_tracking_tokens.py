"""Tracking tokens: names by which events say where they came from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the table; it goes with its tenant."""
    tenant = sa.ForeignKey("tenants.id", name="fk_tracking_tokens_tenant_id", ondelete="CASCADE")
    op.create_table(
        "tracking_tokens",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("tenant_id", sa.String, tenant, nullable=False),
        sa.Column("token", sa.String, nullable=False),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True)),
        sa.Column("uses", sa.BigInteger, nullable=False),
        sa.Column("change_number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tracking_tokens"),
        sa.UniqueConstraint("tenant_id", "token", name="uq_tracking_tokens_token"),
        sa.UniqueConstraint("tenant_id", "label", name="uq_tracking_tokens_label"),
    )
    op.create_index("ix_tracking_tokens_order", "tracking_tokens", ["tenant_id", "created_at", "id"])
