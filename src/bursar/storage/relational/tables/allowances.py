"""Tables of what is set for single tenants: quotas on a month, also of projects, and limits on requests."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, PrimaryKeyConstraint, String, Table

from bursar.storage.relational.tables.metadata import METADATA, UtcMoment

QUOTAS = Table(
    "quotas",
    METADATA,
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("measure", String, nullable=False),
    # Events, or 1e-12 units of the currency: more digits than an integer column has.
    Column("most", String, nullable=False),
    Column("enforcement", String, nullable=False),
    Column("currency", String),
    Column("set_at", UtcMoment, nullable=False),
    Column("set_by", String, nullable=False),
    # Empty: all of the tenant. Part of the key, which takes no NULL.
    Column("project_id", String, nullable=False),
    PrimaryKeyConstraint("tenant_id", "project_id", "measure"),
)

TENANT_LIMITS = Table(
    "tenant_limits",
    METADATA,
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("counted_use", String, nullable=False),
    Column("per_minute", BigInteger, nullable=False),
    Column("burst", BigInteger, nullable=False),
    Column("set_at", UtcMoment, nullable=False),
    Column("set_by", String, nullable=False),
    PrimaryKeyConstraint("tenant_id", "counted_use"),
)
