"""Tables of the audit log: where each chain ends, and its entries.

The chain of a tenant goes with it. What an entry says is in `spelled` alone; the columns beside it are
for finding, and `identity/audit/verify.py` holds them to it.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, PrimaryKeyConstraint, String, Table, Text

from bursar.storage.relational.tables.metadata import METADATA, UtcMoment

AUDIT_CHAINS = Table(
    "audit_chains",
    METADATA,
    # The tenant's id, or what stands for the platform.
    Column("owner", String, primary_key=True),
    # Empty for the platform's chain.
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE")),
    Column("chain", String, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("hash", String, nullable=False),
    Column("trimmed_number", BigInteger, nullable=False),
    Column("trimmed_hash", String, nullable=False),
)

AUDIT_ENTRIES = Table(
    "audit_entries",
    METADATA,
    Column("owner", String, ForeignKey("audit_chains.owner", ondelete="CASCADE"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("at", UtcMoment, nullable=False),
    Column("act", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("actor_id", String, nullable=False),
    Column("spelled", Text, nullable=False),
    Column("hash", String, nullable=False),
    # Two writers can't both be the next one.
    PrimaryKeyConstraint("owner", "number"),
    Index("ix_audit_entries_at", "owner", "at"),
)
