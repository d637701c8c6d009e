"""Closings of billing months, and seats that are paid by the month."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the tables; both go with their tenant."""
    tenant = sa.ForeignKey("tenants.id", name="fk_month_closings_tenant_id", ondelete="CASCADE")
    op.create_table(
        "month_closings",
        sa.Column("tenant_id", sa.String, tenant, nullable=False),
        sa.Column("journal_id", sa.String, nullable=False),
        sa.Column("month", sa.String, nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by", sa.String),
        sa.Column("reason", sa.Text),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "journal_id", "month", name="pk_month_closings"),
    )
    tenant = sa.ForeignKey("tenants.id", name="fk_seat_plans_tenant_id", ondelete="CASCADE")
    op.create_table(
        "seat_plans",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("tenant_id", sa.String, tenant, nullable=False),
        sa.Column("journal_id", sa.String, nullable=False),
        sa.Column("provider", sa.String, nullable=False),
        sa.Column("plan", sa.String, nullable=False),
        sa.Column("seats", sa.Integer, nullable=False),
        sa.Column("price_per_seat", sa.String, nullable=False),
        sa.Column("currency", sa.String, nullable=False),
        sa.Column("project_id", sa.String),
        sa.Column("starts", sa.String, nullable=False),
        sa.Column("ends", sa.String),
        sa.Column("recorded_until", sa.String),
        sa.Column("note", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_seat_plans"),
    )
    op.create_index("ix_seat_plans_order", "seat_plans", ["tenant_id", "created_at", "id"])
