"""Runs and schedules belong to a journal, for servers with folders of their own may share a state store."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the journal to runs, and keep how far schedules are accounted for of each journal."""
    # Runs from before don't say; whichever server finds one takes it.
    op.add_column("runs", sa.Column("journal_id", sa.String()))
    op.create_table(
        "reckonings",
        sa.Column("journal_id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("reckoned_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("journal_id", "job_id", name="pk_reckonings"),
    )
    op.execute(
        "INSERT INTO reckonings (journal_id, job_id, reckoned_until)"
        " SELECT '', job_id, reckoned_until FROM job_schedules"
    )
    op.drop_table("job_schedules")
