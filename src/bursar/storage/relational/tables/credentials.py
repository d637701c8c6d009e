"""Table of what tenants entrust: credentials for providers, whose secrets are sealed before they get here."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text, UniqueConstraint

from bursar.storage.relational.tables.metadata import METADATA, UtcMoment

CREDENTIALS = Table(
    "credentials",
    METADATA,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("provider", String, nullable=False),
    Column("name", String, nullable=False),
    # The secret's last four characters at most.
    Column("hint", String, nullable=False),
    # The envelope, in base64; empty once it was revoked.
    Column("key_id", String),
    Column("wrapped_key", Text),
    Column("sealed", Text),
    Column("created_at", UtcMoment, nullable=False),
    Column("created_by", String, nullable=False),
    Column("replaced_at", UtcMoment),
    Column("replaced_by", String),
    # Its own id once it was revoked, and before that nothing: then its name is free for another one.
    Column("revoked_as", String, nullable=False),
    Column("revoked_at", UtcMoment),
    Column("revoked_by", String),
    Column("last_used_at", UtcMoment),
    Column("last_used_for", String),
    UniqueConstraint("tenant_id", "provider", "name", "revoked_as", name="uq_credentials_name"),
    Index("ix_credentials_order", "tenant_id", "created_at", "id"),
    Index("ix_credentials_key_id", "key_id", "id"),
)
