"""Tables of single sign-on: which user somebody is who comes from an OpenID provider."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, PrimaryKeyConstraint, String, Table, UniqueConstraint

from bursar.storage.relational.tables.metadata import METADATA, UtcMoment

PROVIDER_LINKS = Table(
    "provider_links",
    METADATA,
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("issuer", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("user_id", String, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("linked_at", UtcMoment, nullable=False),
    # A subject is one user, and a user one subject of each provider.
    PrimaryKeyConstraint("tenant_id", "issuer", "subject"),
    UniqueConstraint("tenant_id", "issuer", "user_id"),
)
