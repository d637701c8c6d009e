"""Allocations: owners and cost centres of keys, projects and users, each from a day on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Make the table; its rows go with their tenant."""
    tenant = sa.ForeignKey("tenants.id", name="fk_allocations_tenant_id", ondelete="CASCADE")
    believed = ("tenant_id", "kind", "subject", "valid_from", "replaced_as")
    op.create_table(
        "allocations",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("tenant_id", sa.String, tenant, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("valid_from", sa.String, nullable=False),
        sa.Column("owner", sa.String),
        sa.Column("cost_centre", sa.String),
        sa.Column("reason", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.Column("replaced_as", sa.String, nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True)),
        sa.Column("replaced_by", sa.String),
        sa.PrimaryKeyConstraint("id", name="pk_allocations"),
        sa.UniqueConstraint(*believed, name="uq_allocations_believed"),
    )
    op.create_index("ix_allocations_order", "allocations", ["tenant_id", "created_at", "id"])
