"""Tables of the price book, which belongs to no tenant: dated rows, entries, and the cards that events name.

Rows are added, never changed; `price_book.py` says how.
"""

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
