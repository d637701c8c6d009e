"""Quotas of single projects beside those of tenants, which stay as they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Add the project to the key; the quotas that there are stay those of whole tenants."""
    with op.batch_alter_table("quotas") as batch:
        batch.add_column(sa.Column("project_id", sa.String, nullable=False, server_default=""))
        batch.drop_constraint("pk_quotas", type_="primary")
        batch.create_primary_key("pk_quotas", ["tenant_id", "project_id", "measure"])
    with op.batch_alter_table("quotas") as batch:
        # For the rows that there were; from now on every row says it.
        batch.alter_column("project_id", existing_type=sa.String(), server_default=None)
