"""The kept price book: updates, rows and their ends, entries and providers; filled at the next start."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "price_updates",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("remarks", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_price_updates"),
    )
    _make_rows()
    _make_ends()
    _make_entries()


def _make_rows() -> None:
    op.create_table(
        "price_rows",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("update_number", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("provider", "model", "unit", "price")),
        sa.Column("per", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("context_over", sa.BigInteger()),
        sa.Column("context_upto", sa.BigInteger()),
        sa.Column("service_tier", sa.String()),
        sa.Column("batch", sa.Boolean(), nullable=False),
        sa.Column("speed", sa.String()),
        sa.Column("region", sa.String()),
        sa.Column("hours_from", sa.Integer()),
        sa.Column("hours_to", sa.Integer()),
        sa.Column("weekdays", sa.String()),
        sa.Column("minimum", sa.String()),
        sa.Column("valid_from", sa.DateTime(timezone=True)),
        sa.Column("valid_to", sa.DateTime(timezone=True)),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("source", "link", "hash")),
        sa.PrimaryKeyConstraint("id", name="pk_price_rows"),
        sa.ForeignKeyConstraint(
            ["update_number"], ["price_updates.number"], name="fk_price_rows_update_number"
        ),
    )
    op.create_index("ix_price_rows_model", "price_rows", ["provider", "model"])


def _make_ends() -> None:
    op.create_table(
        "price_row_ends",
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("update_number", sa.Integer(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("row_id", "update_number", name="pk_price_row_ends"),
        sa.ForeignKeyConstraint(["row_id"], ["price_rows.id"], name="fk_price_row_ends_row_id"),
        sa.ForeignKeyConstraint(
            ["update_number"], ["price_updates.number"], name="fk_price_row_ends_update_number"
        ),
    )


def _make_entries() -> None:
    op.create_table(
        "price_entries",
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("update_number", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "model", "update_number", name="pk_price_entries"),
        sa.ForeignKeyConstraint(
            ["update_number"], ["price_updates.number"], name="fk_price_entries_update_number"
        ),
    )
    op.create_table(
        "price_providers",
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("update_number", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "update_number", name="pk_price_providers"),
        sa.ForeignKeyConstraint(
            ["update_number"], ["price_updates.number"], name="fk_price_providers_update_number"
        ),
    )
