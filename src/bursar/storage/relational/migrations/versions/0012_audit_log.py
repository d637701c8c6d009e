"""The audit log: where each chain ends, and its entries, found by number and by time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make the tables; a tenant's chain goes with it."""
    tenant = sa.ForeignKey("tenants.id", name="fk_audit_chains_tenant_id", ondelete="CASCADE")
    op.create_table(
        "audit_chains",
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("tenant_id", sa.String, tenant),
        sa.Column("chain", sa.String, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
        sa.Column("trimmed_number", sa.BigInteger, nullable=False),
        sa.Column("trimmed_hash", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_audit_chains"),
    )
    chain = sa.ForeignKey("audit_chains.owner", name="fk_audit_entries_owner", ondelete="CASCADE")
    op.create_table(
        "audit_entries",
        sa.Column("owner", sa.String, chain, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("act", sa.String, nullable=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("actor_id", sa.String, nullable=False),
        sa.Column("spelled", sa.Text, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("owner", "number", name="pk_audit_entries"),
    )
    op.create_index("ix_audit_entries_at", "audit_entries", ["owner", "at"])
