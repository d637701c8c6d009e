"""What tenants have chosen about how long data of single projects is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Make the table; its rows go with their project, and with their tenant."""
    op.create_table(
        "project_retentions",
        sa.Column("tenant_id", sa.String, nullable=False),
        sa.Column("project_id", sa.String, nullable=False),
        sa.Column("events_days", sa.Integer),
        sa.Column("rollups_days", sa.Integer),
        sa.PrimaryKeyConstraint("tenant_id", "project_id", name="pk_project_retentions"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="fk_project_retentions_tenant_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["projects.tenant_id", "projects.id"],
            name="fk_project_retentions_project_id",
            ondelete="CASCADE",
        ),
    )
