"""What tenants agreed on: prices of their own, aliases, exchange rates, and how their costs are reported."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "tenant_pricing",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("stamp", sa.String(), nullable=False),
        sa.Column("reporting_currency", sa.String()),
        sa.Column("exchange_rate_days", sa.Integer()),
        sa.Column("trusted_providers", sa.Text()),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_tenant_pricing"),
        _with_its_tenant("tenant_pricing"),
    )
    op.create_table(
        "price_terms",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("project_id", sa.String()),
        sa.Column("document", sa.Text(), nullable=False),
        *_trail(),
        sa.PrimaryKeyConstraint("id", name="pk_price_terms"),
        _with_its_tenant("price_terms"),
    )
    op.create_index("ix_price_terms_order", "price_terms", ["tenant_id", "recorded_at", "id"])
    op.create_table(
        "exchange_rates",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String()),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("base", sa.String(), nullable=False),
        sa.Column("quote", sa.String(), nullable=False),
        sa.Column("rate", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        *_trail(),
        sa.PrimaryKeyConstraint("id", name="pk_exchange_rates"),
        _with_its_tenant("exchange_rates"),
    )
    op.create_index("ix_exchange_rates_order", "exchange_rates", ["tenant_id", "day", "id"])


def _with_its_tenant(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id"], ["tenants.id"], name=f"fk_{table}_tenant_id", ondelete="CASCADE"
    )


def _trail() -> list[sa.Column[object]]:
    return [
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True)),
        sa.Column("withdrawn_by", sa.String()),
        sa.Column("withdrawn_reason", sa.String()),
    ]
