"""What API keys are bound to (a project, networks), and which key replaced which."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the columns; the keys that there are stay bound to nothing."""
    for name in ("project_id", "networks", "replaces"):
        op.add_column("api_keys", sa.Column(name, sa.String))
