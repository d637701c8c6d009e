"""Which user somebody is who comes from an OpenID provider: a subject is one user, a user one subject."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Make the table; it goes with its tenant and with its users by itself."""
    tenant = sa.ForeignKey("tenants.id", name="fk_provider_links_tenant_id", ondelete="CASCADE")
    user = sa.ForeignKey("users.id", name="fk_provider_links_user_id", ondelete="CASCADE")
    op.create_table(
        "provider_links",
        sa.Column("tenant_id", sa.String, tenant, nullable=False),
        sa.Column("issuer", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("user_id", sa.String, user, nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "issuer", "subject", name="pk_provider_links"),
        sa.UniqueConstraint("tenant_id", "issuer", "user_id", name="uq_provider_links_tenant_id"),
    )
