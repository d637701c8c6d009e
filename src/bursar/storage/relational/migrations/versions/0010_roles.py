"""Roles of tenants' own, and who has which role in a tenant or in one project of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the tables; both go with their tenant."""
    tenant = sa.ForeignKey("tenants.id", name="fk_roles_tenant_id", ondelete="CASCADE")
    op.create_table(
        "roles",
        sa.Column("tenant_id", sa.String, tenant, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("permissions", sa.String, nullable=False),
        sa.Column("description", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "name", name="pk_roles"),
    )
    tenant = sa.ForeignKey("tenants.id", name="fk_role_bindings_tenant_id", ondelete="CASCADE")
    op.create_table(
        "role_bindings",
        sa.Column("tenant_id", sa.String, tenant, nullable=False),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("project_id", sa.String, nullable=False),
        sa.Column("granted_by", sa.String, nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", "role", "project_id", name="pk_role_bindings"),
    )
