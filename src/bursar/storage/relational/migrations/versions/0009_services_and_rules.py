"""Registered services in all their versions, and billing rules."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the tables; both go with their tenant."""
    tenant = sa.ForeignKey("tenants.id", name="fk_service_versions_tenant_id", ondelete="CASCADE")
    op.create_table(
        "service_versions",
        sa.Column("tenant_id", sa.String, tenant, nullable=False),
        sa.Column("service_type", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("document", sa.Text),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "service_type", "version", name="pk_service_versions"),
    )
    tenant = sa.ForeignKey("tenants.id", name="fk_billing_rules_tenant_id", ondelete="CASCADE")
    op.create_table(
        "billing_rules",
        sa.Column("tenant_id", sa.String, tenant, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("service_type", sa.String, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.String, nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True)),
        sa.Column("withdrawn_by", sa.String),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_billing_rules"),
    )
