"""Runs of jobs, what listeners were told of them, how far schedules are accounted for, and leases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    _make_runs()
    _make_notices()
    op.create_table(
        "job_schedules",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("reckoned_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_job_schedules"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )


def _make_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String()),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String()),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("saved", sa.Text()),
        sa.Column("step", sa.String()),
        sa.Column("done", sa.BigInteger()),
        sa.Column("total", sa.BigInteger()),
        sa.Column("result", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("holder", sa.String()),
        sa.Column("is_stop_asked", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_order", "runs", ["created_at", "id"])
    op.create_index("ix_runs_tenant", "runs", ["tenant_id", "created_at", "id"])
    op.create_index("ix_runs_job", "runs", ["job_id", "created_at", "id"])
    op.create_index("ix_runs_state", "runs", ["state"])


def _make_notices() -> None:
    op.create_table(
        "run_notices",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("listener", sa.String(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True)),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("run_id", "listener", name="pk_run_notices"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_notices_run_id", ondelete="CASCADE"),
    )
    op.create_index("ix_run_notices_told", "run_notices", ["told_at"])
