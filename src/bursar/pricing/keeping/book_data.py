"""The kept book as the price book rates by it: the rows that hold, with the ends that are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from bursar.pricing.entries import ModelIndex, PriceData, Seller

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bursar.pricing.keeping.kept import KeptBook, KeptProvider, KeptRow
    from bursar.pricing.rows import PriceRow

Place = tuple[str, str]


def data_of_kept(book: KeptBook) -> PriceData:
    """Everything that the kept book says, for rating and listings."""
    return PriceData(
        version=book.version,
        providers={provider: _seller(book, kept) for provider, kept in book.providers.items()},
        rows=_KnownRows(book.rows),
    )


def _seller(book: KeptBook, provider: KeptProvider) -> Seller:
    found = [book.entries.get((provider.entry.id, model)) for model in provider.order]
    entries = [kept.entry for kept in found if kept is not None]
    return Seller(
        provider.entry,
        ModelIndex(
            tuple(
                entry if entry.position == position else msgspec.structs.replace(entry, position=position)
                for position, entry in enumerate(entries)
            )
        ),
    )


class _KnownRows(Mapping[Place, "Sequence[PriceRow]"]):
    """Kept rows with the ends that are known, made when they are asked for."""

    def __init__(self, kept: Mapping[Place, Sequence[KeptRow]]) -> None:
        self._kept = kept

    def __getitem__(self, place: Place) -> Sequence[PriceRow]:
        return [one.as_known() for one in self._kept[place]]

    def __iter__(self) -> Iterator[Place]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)
