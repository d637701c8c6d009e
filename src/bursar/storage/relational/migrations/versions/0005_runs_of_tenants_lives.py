"""A run belongs to a tenant's life: one of the same id that is made later is another tenant."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add since when there has been the tenant whose run it is."""
    op.add_column("runs", sa.Column("tenant_since", sa.DateTime(timezone=True)))
    # A run that is older than its tenant was of an earlier one of that id: any other moment says so.
    op.execute(
        "UPDATE runs SET tenant_since = (SELECT CASE WHEN runs.created_at < tenants.created_at"
        " THEN runs.created_at ELSE tenants.created_at END FROM tenants WHERE tenants.id = runs.tenant_id)"
    )
