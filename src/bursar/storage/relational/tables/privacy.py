"""Tables of privacy: what each tenant wants taken out of its events, and how often that was done."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, PrimaryKeyConstraint, String, Table, Text

from bursar.storage.relational.tables.metadata import METADATA, UtcMoment

PRIVACY_RULES = Table(
    "privacy_rules",
    METADATA,
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True),
    # JSON, as the tenant chose them.
    Column("rules", Text, nullable=False),
    # The credential that hashes are made with; empty where there is none.
    Column("secret_id", String),
    Column("changed_at", UtcMoment, nullable=False),
    Column("changed_by", String, nullable=False),
    # Another random one after every change: other processes look at their sum.
    Column("change_number", BigInteger, nullable=False),
)

REDACTIONS = Table(
    "redactions",
    METADATA,
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("rule", String, nullable=False),
    Column("times", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "rule"),
)
