"""Tables of what is billed besides calls of models: services and their rules, seats, and closed months."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, PrimaryKeyConstraint, String, Table, Text

from bursar.storage.relational.tables.metadata import METADATA, UtcMoment

SERVICE_VERSIONS = Table(
    "service_versions",
    METADATA,
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("service_type", String, nullable=False),
    Column("version", Integer, nullable=False),
    # JSON of what was registered; empty where the service was retired.
    Column("document", Text),
    Column("recorded_at", UtcMoment, nullable=False),
    Column("recorded_by", String, nullable=False),
    PrimaryKeyConstraint("tenant_id", "service_type", "version"),
)

BILLING_RULES = Table(
    "billing_rules",
    METADATA,
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("id", String, nullable=False),
    Column("service_type", String, nullable=False),
    # JSON of the whole rule, which never changes.
    Column("document", Text, nullable=False),
    Column("recorded_at", UtcMoment, nullable=False),
    Column("recorded_by", String, nullable=False),
    Column("withdrawn_at", UtcMoment),
    Column("withdrawn_by", String),
    PrimaryKeyConstraint("tenant_id", "id"),
)

MONTH_CLOSINGS = Table(
    "month_closings",
    METADATA,
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    # Whose usage it sums up: servers on one state store share tenants, not journals.
    Column("journal_id", String, nullable=False),
    Column("month", String, nullable=False),
    Column("closed_at", UtcMoment, nullable=False),
    # Empty: the schedule.
    Column("closed_by", String),
    Column("reason", Text),
    # JSON as text: its hash is shown.
    Column("document", Text, nullable=False),
    PrimaryKeyConstraint("tenant_id", "journal_id", "month"),
)

SEAT_PLANS = Table(
    "seat_plans",
    METADATA,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    # Whose days are recorded there.
    Column("journal_id", String, nullable=False),
    Column("provider", String, nullable=False),
    Column("plan", String, nullable=False),
    Column("seats", Integer, nullable=False),
    # A decimal string, so that it comes back to the last digit from either engine.
    Column("price_per_seat", String, nullable=False),
    Column("currency", String, nullable=False),
    Column("project_id", String),
    # Days in UTC, written as dates; half-open.
    Column("starts", String, nullable=False),
    Column("ends", String),
    Column("recorded_until", String),
    Column("note", Text),
    Column("created_at", UtcMoment, nullable=False),
    Column("created_by", String, nullable=False),
    Index("ix_seat_plans_order", "tenant_id", "created_at", "id"),
)
