"""What is kept of the book: rows with the update that brought them, and when later updates ended them.

Rows are never changed: an update that learns of another price notes the moment from which an old row
holds no longer. What holds now, and what held as far as was known at any earlier update, both follow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from bursar.pricing.entries import ModelEntry, ProviderEntry
from bursar.pricing.keeping.source import Remark
from bursar.pricing.rows import PriceRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class KeptProvider(msgspec.Struct, frozen=True):
    """A provider with the order in which its entries are tried."""

    entry: ProviderEntry
    order: tuple[str, ...]
    """Ids of its entries."""


class KeptEntry(msgspec.Struct, frozen=True):
    """The latest version of an entry, and which source said so; its position is the provider's order."""

    entry: ModelEntry
    source: str


class KeptRow(msgspec.Struct, frozen=True):
    """A row as it was recorded, and its end as far as it is known."""

    id: int
    update: int
    """The number of the update that brought it."""
    row: PriceRow
    ends_at: datetime | None
    """The first moment at which it holds no longer; None is open. Not later than the row's own end."""

    @property
    def is_empty(self) -> bool:
        """Whether it never held, as far as is known by now."""
        starts = self.row.valid_from
        return self.ends_at is not None and starts is not None and self.ends_at <= starts

    def as_known(self) -> PriceRow:
        """The row with the end that is known."""
        if self.ends_at == self.row.valid_to:
            return self.row
        return msgspec.structs.replace(self.row, valid_to=self.ends_at)


class RowEnd(msgspec.Struct, frozen=True):
    """That a row holds no longer from a moment on."""

    row_id: int
    ends_at: datetime


class UpdateHead(msgspec.Struct, frozen=True, kw_only=True):
    """Who made an update, when, from what and why."""

    recorded_at: datetime
    source: str
    version: str
    content_hash: str
    made_by: str
    """The id of the key that asked for it; `socket` for a command on this machine, `bursar` for a start."""
    note: str
    valid_from: datetime
    """From when on changes without a date of their own count."""
    counts: dict[str, int]
    remarks: tuple[Remark, ...] = ()


class PriceUpdate(UpdateHead, frozen=True, kw_only=True):
    """An update as it was recorded."""

    number: int
    """1 is the first; each is based on the one before it."""


@dataclass(frozen=True, slots=True)
class KeptBook:
    """Everything that holds, as far as is known at one update; number 0 is an empty book."""

    number: int = 0
    providers: dict[str, KeptProvider] = field(default_factory=dict[str, KeptProvider])
    entries: dict[tuple[str, str], KeptEntry] = field(default_factory=dict[tuple[str, str], KeptEntry])
    rows: Mapping[tuple[str, str], Sequence[KeptRow]] = field(
        default_factory=dict[tuple[str, str], list[KeptRow]]
    )
    """(provider, entry) to every row that holds at some time; they may be made when they are asked for."""
    versions: dict[str, str] = field(default_factory=dict[str, str])
    """The latest version of each source."""

    @property
    def version(self) -> str:
        """The sources of the book with their versions: `genai-prices 0.2.3 + litellm 1f0c2a77b0de`."""
        return " + ".join(f"{name} {version}" for name, version in sorted(self.versions.items()))


def by_model(rows: Iterable[PriceRow]) -> dict[tuple[str, str], list[PriceRow]]:
    """Rows by provider and entry."""
    grouped: dict[tuple[str, str], list[PriceRow]] = {}
    for row in rows:
        grouped.setdefault((row.provider, row.model), []).append(row)
    return grouped


class EndedRow(msgspec.Struct, frozen=True):
    """A row as it was recorded, and every update that ended it, with the moment it gave."""

    row: PriceRow
    update: PriceUpdate
    ends: tuple[tuple[PriceUpdate, datetime], ...]


class SourceState(msgspec.Struct, frozen=True):
    """A source's latest update, and how much of the book is its."""

    update: PriceUpdate
    rows: int
    """Rows that it ever brought."""
    open_rows: int
    """Rows of its that no update has ended."""
