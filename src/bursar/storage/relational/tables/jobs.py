"""Tables of jobs: their runs, who is told of them, up to when they are reckoned, and who works on what."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

from bursar.storage.relational.tables.metadata import METADATA, UtcMoment

RUNS = Table(
    "runs",
    METADATA,
    Column("id", String, primary_key=True),
    Column("job_id", String, nullable=False),
    # No foreign key: the run that deletes a tenant outlives it.
    Column("tenant_id", String),
    # When that tenant was made: one of the same id that is made later doesn't inherit the run. Empty where
    # nothing was known of it.
    Column("tenant_since", UtcMoment),
    Column("state", String, nullable=False),
    Column("trigger", String, nullable=False),
    Column("asked_by", String),
    # JSON as text: both engines answer what was written, to the letter.
    Column("parameters", Text, nullable=False),
    Column("saved", Text),
    Column("step", String),
    Column("done", BigInteger),
    Column("total", BigInteger),
    Column("result", Text),
    Column("error", Text),
    Column("attempts", Integer, nullable=False),
    Column("created_at", UtcMoment, nullable=False),
    Column("started_at", UtcMoment),
    Column("finished_at", UtcMoment),
    # The process that works on it.
    Column("holder", String),
    Column("is_stop_asked", Boolean, nullable=False),
    # Whose records it works on; empty in runs from before they said so.
    Column("journal_id", String),
    Index("ix_runs_order", "created_at", "id"),
    Index("ix_runs_tenant", "tenant_id", "created_at", "id"),
    Index("ix_runs_job", "job_id", "created_at", "id"),
    Index("ix_runs_state", "state"),
)

RUN_NOTICES = Table(
    "run_notices",
    METADATA,
    Column("run_id", String, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("listener", String, nullable=False),
    Column("told_at", UtcMoment),
    Column("attempts", Integer, nullable=False),
    Column("error", Text),
    PrimaryKeyConstraint("run_id", "listener"),
    # Who is still to be told.
    Index("ix_run_notices_told", "told_at"),
)

RECKONINGS = Table(
    "reckonings",
    METADATA,
    # Empty where a store from before said it of all.
    Column("journal_id", String, primary_key=True),
    # Empty where it is only said when a server last began to work on the journal.
    Column("job_id", String, primary_key=True),
    Column("reckoned_until", UtcMoment, nullable=False),
)

LEASES = Table(
    "leases",
    METADATA,
    Column("name", String, primary_key=True),
    Column("holder", String, nullable=False),
    Column("place", String, nullable=False),
    Column("beat", BigInteger, nullable=False),
)
