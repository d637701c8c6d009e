"""Privacy: what each tenant wants taken out of its events, and how often that was done."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Make the tables; their rows go with their tenant."""
    rules = sa.ForeignKey("tenants.id", name="fk_privacy_rules_tenant_id", ondelete="CASCADE")
    op.create_table(
        "privacy_rules",
        sa.Column("tenant_id", sa.String, rules, nullable=False),
        sa.Column("rules", sa.Text, nullable=False),
        sa.Column("secret_id", sa.String),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.String, nullable=False),
        sa.Column("change_number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_privacy_rules"),
    )
    counts = sa.ForeignKey("tenants.id", name="fk_redactions_tenant_id", ondelete="CASCADE")
    op.create_table(
        "redactions",
        sa.Column("tenant_id", sa.String, counts, nullable=False),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("times", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "rule", name="pk_redactions"),
    )
