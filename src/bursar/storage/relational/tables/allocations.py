"""Table of who bears what: owners and cost centres of keys, projects and users, each from a day on."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text, UniqueConstraint

from bursar.storage.relational.tables.metadata import METADATA, UtcMoment

ALLOCATIONS = Table(
    "allocations",
    METADATA,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String, nullable=False),
    Column("subject", String, nullable=False),
    # A day in UTC, written as a date.
    Column("valid_from", String, nullable=False),
    Column("owner", String),
    Column("cost_centre", String),
    Column("reason", Text),
    Column("created_at", UtcMoment, nullable=False),
    Column("created_by", String, nullable=False),
    # Its own id once it isn't believed any more, and before that nothing: one a day of each is believed.
    Column("replaced_as", String, nullable=False),
    Column("replaced_at", UtcMoment),
    Column("replaced_by", String),
    UniqueConstraint(
        "tenant_id", "kind", "subject", "valid_from", "replaced_as", name="uq_allocations_believed"
    ),
    Index("ix_allocations_order", "tenant_id", "created_at", "id"),
)
