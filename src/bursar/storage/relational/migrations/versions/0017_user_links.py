"""Links by which people set a password, once: kept by the hash of the secret in each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Make the table; its rows go with their user and with their tenant."""
    tenant = sa.ForeignKey("tenants.id", name="fk_user_links_tenant_id", ondelete="CASCADE")
    user = sa.ForeignKey("users.id", name="fk_user_links_user_id", ondelete="CASCADE")
    op.create_table(
        "user_links",
        sa.Column("secret_hash", sa.String, nullable=False),
        sa.Column("tenant_id", sa.String, tenant, nullable=False),
        sa.Column("user_id", sa.String, user),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.Column("covers", sa.String),
        sa.PrimaryKeyConstraint("secret_hash", name="pk_user_links"),
    )
    op.create_index("ix_user_links_user", "user_links", ["tenant_id", "user_id"])
