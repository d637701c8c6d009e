"""Tables of what tenants agreed on and chose about prices, and of exchange rates.

Terms and rates are added and withdrawn, never changed; `_trail` is what they all say of that.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text

from bursar.storage.relational.tables.metadata import METADATA, UtcMoment


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
