"""The tables of the state store as they are now; `migrations/` is how a store gets there.

A test compares both on each engine. Whatever belongs to a tenant carries `tenant_id`, and every
statement on it names one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
)

if TYPE_CHECKING:
    from sqlalchemy import Dialect

METADATA = MetaData(
    # Constraints need names, or a later migration can't change them.
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class UtcMoment(TypeDecorator[datetime]):
    """A moment that goes in aware and comes back aware in UTC, to the microsecond, on both engines."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: SQLite would keep them as if they were UTC."""
        del dialect
        if value is not None and value.tzinfo is None:
            message = "a moment needs a time zone"
            raise ValueError(message)
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """SQLite answers naive UTC, PostgreSQL the session's zone; both leave here as aware UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


TENANTS = Table(
    "tenants",
    METADATA,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("zone", String, nullable=False),
    Column("state", String, nullable=False),
    Column("created_at", UtcMoment, nullable=False),
    Index("ix_tenants_order", "created_at", "id"),
)

PROJECTS = Table(
    "projects",
    METADATA,
    Column("tenant_id", String, ForeignKey("tenants.id"), nullable=False),
    Column("id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("created_at", UtcMoment, nullable=False),
    # Ids are chosen by tenants, so two tenants may choose the same.
    PrimaryKeyConstraint("tenant_id", "id"),
    Index("ix_projects_order", "tenant_id", "created_at", "id"),
)

API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id"), nullable=False),
    Column("label", String, nullable=False),
    Column("prefix", String, nullable=False),
    # Every request of an unknown key asks by this alone.
    Column("secret_hash", String, nullable=False, unique=True),
    Column("scopes", String, nullable=False),
    Column("is_operator", Boolean, nullable=False),
    Column("created_at", UtcMoment, nullable=False),
    Column("expires_at", UtcMoment),
    Column("last_used_at", UtcMoment),
    Column("revoked_at", UtcMoment),
    Column("revocation", String),
    Column("from_setting", String),
    Index("ix_api_keys_order", "tenant_id", "created_at", "id"),
)

PRICE_UPDATES = Table(
    "price_updates",
    METADATA,
    # Each is based on the one before it: of two that come at once, one finds its number taken.
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("recorded_at", UtcMoment, nullable=False),
    Column("source", String, nullable=False),
    Column("version", String, nullable=False),
    Column("content_hash", String, nullable=False),
    # A key's id, `socket` or `bursar`.
    Column("made_by", String, nullable=False),
    Column("note", Text, nullable=False),
    Column("valid_from", UtcMoment, nullable=False),
    # JSON as text.
    Column("counts", Text, nullable=False),
    Column("remarks", Text, nullable=False),
)

PRICE_ROWS = Table(
    "price_rows",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("update_number", Integer, ForeignKey("price_updates.number"), nullable=False),
    Column("provider", String, nullable=False),
    Column("model", String, nullable=False),
    Column("unit", String, nullable=False),
    # Exact decimals as text: SQLite would make floats of them.
    Column("price", String, nullable=False),
    Column("per", BigInteger, nullable=False),
    Column("currency", String, nullable=False),
    Column("context_over", BigInteger),
    Column("context_upto", BigInteger),
    Column("service_tier", String),
    Column("batch", Boolean, nullable=False),
    Column("speed", String),
    Column("region", String),
    # Seconds of the UTC day.
    Column("hours_from", Integer),
    Column("hours_to", Integer),
    # Digits, 0 is Monday: `01234`.
    Column("weekdays", String),
    Column("minimum", String),
    Column("valid_from", UtcMoment),
    Column("valid_to", UtcMoment),
    Column("source", String, nullable=False),
    Column("link", String, nullable=False),
    Column("hash", String, nullable=False),
    Index("ix_price_rows_model", "provider", "model"),
)

PRICE_ROW_ENDS = Table(
    "price_row_ends",
    METADATA,
    Column("row_id", Integer, ForeignKey("price_rows.id"), nullable=False),
    Column("update_number", Integer, ForeignKey("price_updates.number"), nullable=False),
    Column("ends_at", UtcMoment, nullable=False),
    PrimaryKeyConstraint("row_id", "update_number"),
)

PRICE_ENTRIES = Table(
    "price_entries",
    METADATA,
    Column("provider", String, nullable=False),
    Column("model", String, nullable=False),
    Column("update_number", Integer, ForeignKey("price_updates.number"), nullable=False),
    Column("source", String, nullable=False),
    # JSON as text; the latest one counts.
    Column("document", Text, nullable=False),
    PrimaryKeyConstraint("provider", "model", "update_number"),
)

PRICE_PROVIDERS = Table(
    "price_providers",
    METADATA,
    Column("provider", String, nullable=False),
    Column("update_number", Integer, ForeignKey("price_updates.number"), nullable=False),
    # JSON as text, with the order of its entries; the latest one counts.
    Column("document", Text, nullable=False),
    PrimaryKeyConstraint("provider", "update_number"),
)

PRICE_SNAPSHOTS = Table(
    "price_snapshots",
    METADATA,
    # A hash of the document: the same price is kept once, and no tenant owns it.
    Column("card_id", String, primary_key=True),
    Column("document", Text, nullable=False),
)

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

RETENTIONS = Table(
    "retentions",
    METADATA,
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True),
    # Empty: the default counts; 0: forever.
    Column("events_days", Integer),
    Column("rollups_days", Integer),
    Column("quarantine_days", Integer),
)

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


def _trail() -> list[Column[Any]]:
    """Of rows that are added and withdrawn, never changed: who did it, when and why."""
    return [
        Column("recorded_at", UtcMoment, nullable=False),
        Column("created_by", String, nullable=False),
        Column("withdrawn_at", UtcMoment),
        Column("withdrawn_by", String),
        Column("withdrawn_reason", String),
    ]


TENANT_PRICING = Table(
    "tenant_pricing",
    METADATA,
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True),
    # Another one after every change of what the tenant's usage is rated by: other processes look at it.
    Column("stamp", String, nullable=False),
    # Empty: the defaults count.
    Column("reporting_currency", String),
    Column("exchange_rate_days", Integer),
    Column("trusted_providers", Text),
)

PRICE_TERMS = Table(
    "price_terms",
    METADATA,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String, nullable=False),
    Column("project_id", String),
    # JSON as text: both engines answer what was written, to the letter.
    Column("document", Text, nullable=False),
    *_trail(),
    Index("ix_price_terms_order", "tenant_id", "recorded_at", "id"),
)

EXCHANGE_RATES = Table(
    "exchange_rates",
    METADATA,
    Column("id", String, primary_key=True),
    # Empty: the operator entered it for all tenants.
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE")),
    # ISO, so that it sorts.
    Column("day", String, nullable=False),
    Column("base", String, nullable=False),
    Column("quote", String, nullable=False),
    # A decimal as text: SQLite has no exact ones.
    Column("rate", String, nullable=False),
    Column("source", String, nullable=False),
    *_trail(),
    Index("ix_exchange_rates_order", "tenant_id", "day", "id"),
)
