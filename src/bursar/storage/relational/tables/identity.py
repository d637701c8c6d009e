"""Tables of who uses a ledger: tenants, their projects, keys and tokens, and how long usage is kept."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)

from bursar.storage.relational.tables.metadata import METADATA, UtcMoment

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
    Column("state", String, nullable=False, server_default="active"),
    # Ids are chosen by tenants, so two tenants may choose the same.
    PrimaryKeyConstraint("tenant_id", "id"),
    Index("ix_projects_order", "tenant_id", "created_at", "id"),
    # Every server asks every two seconds which are suspended.
    Index("ix_projects_state", "state"),
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
    # Empty: all of the tenant.
    Column("project_id", String),
    # CIDR, separated by spaces; empty: anywhere.
    Column("networks", String),
    # The key that was rotated into this one.
    Column("replaces", String),
    Index("ix_api_keys_order", "tenant_id", "created_at", "id"),
)

ROLES = Table(
    "roles",
    METADATA,
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("name", String, nullable=False),
    Column("permissions", String, nullable=False),
    Column("description", String, nullable=False),
    PrimaryKeyConstraint("tenant_id", "name"),
)

ROLE_BINDINGS = Table(
    "role_bindings",
    METADATA,
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", String, nullable=False),
    Column("role", String, nullable=False),
    # Empty: in the whole tenant. Part of the key, which takes no NULL.
    Column("project_id", String, nullable=False),
    Column("granted_by", String, nullable=False),
    Column("granted_at", UtcMoment, nullable=False),
    PrimaryKeyConstraint("tenant_id", "user_id", "role", "project_id"),
)

TRACKING_TOKENS = Table(
    "tracking_tokens",
    METADATA,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    # No secret: it is shown again, so it is kept as it is.
    Column("token", String, nullable=False),
    Column("label", String, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("created_at", UtcMoment, nullable=False),
    Column("created_by", String, nullable=False),
    Column("last_seen_at", UtcMoment),
    Column("uses", BigInteger, nullable=False),
    # Another random one after every change but a use: other processes look at their sum.
    Column("change_number", BigInteger, nullable=False),
    UniqueConstraint("tenant_id", "token", name="uq_tracking_tokens_token"),
    UniqueConstraint("tenant_id", "label", name="uq_tracking_tokens_label"),
    Index("ix_tracking_tokens_order", "tenant_id", "created_at", "id"),
)

PROJECT_RETENTIONS = Table(
    "project_retentions",
    METADATA,
    Column("tenant_id", String, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("project_id", String, nullable=False),
    # Empty: the tenant's days count; 0: forever, as long as the tenant's are.
    Column("events_days", Integer),
    Column("rollups_days", Integer),
    PrimaryKeyConstraint("tenant_id", "project_id"),
    ForeignKeyConstraint(
        ["tenant_id", "project_id"],
        ["projects.tenant_id", "projects.id"],
        name="fk_project_retentions_project_id",
        ondelete="CASCADE",
    ),
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
