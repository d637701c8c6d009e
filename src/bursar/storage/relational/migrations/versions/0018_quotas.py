"""What the operator sets for single tenants: quotas on a month, and limits on requests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Make the tables; their rows go with their tenant."""
    op.create_table(
        "quotas",
        sa.Column("tenant_id", sa.String, _tenant("quotas"), nullable=False),
        sa.Column("measure", sa.String, nullable=False),
        sa.Column("most", sa.String, nullable=False),
        sa.Column("enforcement", sa.String, nullable=False),
        sa.Column("currency", sa.String),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "measure", name="pk_quotas"),
    )
    op.create_table(
        "tenant_limits",
        sa.Column("tenant_id", sa.String, _tenant("tenant_limits"), nullable=False),
        sa.Column("counted_use", sa.String, nullable=False),
        sa.Column("per_minute", sa.BigInteger, nullable=False),
        sa.Column("burst", sa.BigInteger, nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "counted_use", name="pk_tenant_limits"),
    )


def _tenant(table: str) -> sa.ForeignKey:
    return sa.ForeignKey("tenants.id", name=f"fk_{table}_tenant_id", ondelete="CASCADE")
