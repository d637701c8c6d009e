"""The state of projects: active or suspended, as tenants are; usage of a suspended one is refused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the column; the projects that there are stay active."""
    op.add_column("projects", sa.Column("state", sa.String, nullable=False, server_default="active"))
    op.create_index("ix_projects_state", "projects", ["state"])
