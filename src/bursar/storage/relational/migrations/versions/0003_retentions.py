"""What tenants have chosen about how long each kind of their data is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "retentions",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("events_days", sa.Integer()),
        sa.Column("rollups_days", sa.Integer()),
        sa.Column("quarantine_days", sa.Integer()),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_retentions"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="fk_retentions_tenant_id", ondelete="CASCADE"
        ),
    )
