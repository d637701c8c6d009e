"""The answers of the kept book's endpoints, as they are on the wire; decimals and moments are strings."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from pydantic import BaseModel, ConfigDict

from bursar.described import describe_fields
from bursar.money import format_decimal
from bursar.pricing.keeping.told import ChangeKind, conditions_of

if TYPE_CHECKING:
    from bursar.pricing.keeping.disagreements import Disagreement
    from bursar.pricing.keeping.faults import BookFault
    from bursar.pricing.keeping.kept import EndedRow, PriceUpdate, SourceState
    from bursar.pricing.keeping.told import PriceChange
    from bursar.pricing.rows import PriceRow

SHOWN = 2_000
"""Changes and disagreements that one answer lists; it also says how many there are."""


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, json_schema_extra=describe_fields)


class PriceRemarkOut(_Answer):
    """Something in a source that no price was made of."""

    what: str
    why: str
    count: int
    example: str


class PriceUpdateOut(_Answer):
    """An update of the price book: who, when, from what, why, and what it changed."""

    number: int
    recorded_at: datetime
    source: str
    version: str
    content_hash: str
    """128 bits of BLAKE2b over the file that was read."""
    made_by: str
    """The id of a key; `socket` for a command on the server's machine, `bursar` for a start."""
    note: str
    valid_from: datetime
    """From when on changes count for which the source has no date."""
    counts: dict[str, int]
    remarks: list[PriceRemarkOut]

    @classmethod
    def of(cls, update: PriceUpdate) -> PriceUpdateOut:
        """The update as it is shown."""
        return cls.model_validate(msgspec.to_builtins(update))


class PriceUpdatesOut(_Answer):
    """Updates, the latest first."""

    items: list[PriceUpdateOut]
    next_cursor: str | None


class PriceChangeOut(_Answer):
    """One price that is added, replaced or ended."""

    kind: ChangeKind
    provider: str
    model: str
    unit: str
    conditions: dict[str, str]
    old: str | None
    new: str | None
    per: int
    currency: str
    percent: str | None
    since: datetime | None
    """From when on; null is always."""

    @classmethod
    def of(cls, change: PriceChange) -> PriceChangeOut:
        """The change as it is shown."""
        return cls.model_validate(msgspec.to_builtins(change))


class DisagreementOut(_Answer):
    """Two prices for the same calls: the book's, and the one of a source that was compared with it."""

    provider: str
    model: str
    named: str
    """How the other source names the model."""
    unit: str
    conditions: dict[str, str]
    ours: str
    theirs: str
    per: int
    currency: str
    percent: str | None
    our_source: str
    our_unit: str
    """The unit whose price is ours: the same, or a broader one that covers it."""
    our_link: str
    their_link: str

    @classmethod
    def of(cls, one: Disagreement) -> DisagreementOut:
        """The disagreement as it is shown."""
        return cls.model_validate(msgspec.to_builtins(one))


class PriceDiffOut(_Answer):
    """What a source changes, or would change."""

    source: str
    version: str
    content_hash: str
    valid_from: datetime
    counts: dict[str, int]
    changes: list[PriceChangeOut]
    """The first 2,000; `counts` has them all."""
    vanished: list[str]
    """Models that the source no longer lists, as `provider/model`; they stay unless they are retired."""
    disagreements: list[DisagreementOut]
    """Where a source that only fills gaps has another price than the book, the largest ratio first."""
    remarks: list[PriceRemarkOut]
    update: PriceUpdateOut | None
    """The update, if one was kept; null for a diff, and where nothing changed."""


class PriceSourceOut(_Answer):
    """A source of the book, as of its latest update."""

    source: str
    version: str
    content_hash: str
    recorded_at: datetime
    update: int
    rows: int
    """Rows that it ever brought."""
    open_rows: int
    """Rows of its that still hold, without an end."""

    @classmethod
    def of(cls, state: SourceState) -> PriceSourceOut:
        """The source as it is shown."""
        update = state.update
        return cls(
            source=update.source,
            version=update.version,
            content_hash=update.content_hash,
            recorded_at=update.recorded_at,
            update=update.number,
            rows=state.rows,
            open_rows=state.open_rows,
        )


class PriceSourcesOut(_Answer):
    """Every source of the book."""

    items: list[PriceSourceOut]
    installed_version: str
    """The version of the genai-prices package on the server."""


class PriceRowOut(_Answer):
    """One dated price."""

    unit: str
    price: str
    per: int
    currency: str
    conditions: dict[str, str]
    valid_from: datetime | None
    valid_to: datetime | None
    source: str
    link: str
    hash: str
    """128 bits of BLAKE2b over the row as it was recorded."""

    @classmethod
    def of(cls, row: PriceRow) -> PriceRowOut:
        """The row as it is shown."""
        return cls(**_row_fields(row))


class PriceRowEndOut(_Answer):
    """That a later update ended a row."""

    update: int
    recorded_at: datetime
    made_by: str
    ends_at: datetime


class KeptRowOut(PriceRowOut):
    """A row as it was recorded, and what later updates did to it."""

    update: int
    """The number of the update that brought it."""
    recorded_at: datetime
    ended_by: list[PriceRowEndOut]

    @classmethod
    def of_kept(cls, kept: EndedRow) -> KeptRowOut:
        """The row as it is shown."""
        return cls(
            **_row_fields(kept.row),
            update=kept.update.number,
            recorded_at=kept.update.recorded_at,
            ended_by=[
                PriceRowEndOut(
                    update=update.number, recorded_at=update.recorded_at, made_by=update.made_by, ends_at=at
                )
                for update, at in kept.ends
            ],
        )


class _NamedModel(_Answer):
    provider: str
    """The id of who bills."""
    model: str
    """The id of the entry that the name means."""
    rule: str
    """By which rule the name was found."""
    book_version: str


class PricesAtOut(_NamedModel):
    """The rows of a model that hold at a moment."""

    at: datetime
    known_at: datetime | None
    """As far as was known then; null is now."""
    rows: list[PriceRowOut]


class PriceHistoryOut(_NamedModel):
    """Every row that a model ever had."""

    rows: list[KeptRowOut]


class BookFaultOut(_Answer):
    """Something odd in the book."""

    kind: str
    provider: str
    model: str
    detail: str

    @classmethod
    def of(cls, fault: BookFault) -> BookFaultOut:
        """The fault as it is shown."""
        return cls.model_validate(msgspec.to_builtins(fault))


class BookCheckOut(_Answer):
    """What is odd in the book, and where a source disagrees with it."""

    book_version: str
    faults: list[BookFaultOut]
    compared_with: str | None
    """The source whose file was sent along."""
    disagreements: list[DisagreementOut]
    """The first 2,000, the largest ratio first."""
    disagreement_count: int
    compared_models: int
    """How many of its models the book knows."""
    remarks: list[PriceRemarkOut]


def _row_fields(row: PriceRow) -> dict[str, Any]:
    return {
        "unit": row.unit,
        "price": format_decimal(row.price),
        "per": row.per,
        "currency": row.currency,
        "conditions": conditions_of(row),
        "valid_from": row.valid_from,
        "valid_to": row.valid_to,
        "source": row.source,
        "link": row.link,
        "hash": row.hash,
    }
