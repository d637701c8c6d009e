"""What of a lesser source the book takes: only what it has no price for, and nothing twice.

A model that the book doesn't know becomes an entry of its own, which answers to its listed name alone
and is tried after all others. In a model that it knows, a line is taken that neither has a row nor is
covered by a broader one, if all entries of the source that mean this model agree on it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from bursar.pricing.keeping.changes import Line, is_covered, line_of, terms_of
from bursar.pricing.keeping.source import PriceSource, Remark
from bursar.pricing.match import find_offer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bursar.pricing.entries import ModelEntry, PriceData
    from bursar.pricing.keeping.kept import KeptBook
    from bursar.pricing.match import Offer
    from bursar.pricing.rows import PriceRow

Place = tuple[str, str]


def gaps_filled(book: KeptBook, data: PriceData, source: PriceSource, valid_from: datetime) -> PriceSource:
    """The part of a source that fills gaps of the book, with the rows of known models under their entries."""
    entries: list[ModelEntry] = []
    meant: dict[Place, dict[str, Sequence[PriceRow]]] = {}
    for entry in source.entries:
        place = (entry.provider, entry.id)
        offer = find_offer(data, entry.provider, entry.id)
        is_new = isinstance(offer, str) and place not in book.entries
        known = None if isinstance(offer, str) else _own_entry(book, offer)
        if is_new or _is_own(book, place, known, source.name):
            entries.append(entry)
        elif known is not None and not book.entries[known].entry.is_free:
            meant.setdefault(known, {})[entry.id] = source.rows[place]
    rows = {(entry.provider, entry.id): source.rows[entry.provider, entry.id] for entry in entries}
    contradicting = 0
    for place, said in meant.items():
        agreed, contradictions = _agreed_rows(place, said)
        contradicting += contradictions
        found = _missing_rows(book, place, agreed, valid_from)
        if found or any(one.row.source == source.name for one in book.rows.get(place, ())):
            rows[place] = [msgspec.structs.replace(row, provider=place[0], model=place[1]) for row in found]
    remark = Remark("entry", "several entries that mean one model differ", contradicting, "")
    sellers = {entry.provider for entry in entries}
    return replace(
        source,
        providers=tuple(
            kept.entry if (kept := book.providers.get(one.id)) else one
            for one in source.providers
            if one.id in sellers
        ),
        entries=tuple(entries),
        rows=rows,
        remarks=(*source.remarks, remark) if contradicting else source.remarks,
    )


def _is_own(book: KeptBook, place: Place, known: Place | None, name: str) -> bool:
    """Whether the source made this entry earlier."""
    return known == place and book.entries[place].source == name


def _missing_rows(
    book: KeptBook, place: Place, said: Sequence[PriceRow], valid_from: datetime
) -> list[PriceRow]:
    """Those of a known model for which the book has nobody else's price."""
    lines = {
        line_of(one.row)
        for one in book.rows.get(place, ())
        if one.row.source not in {row.source for row in said}
        and (one.ends_at is None or one.ends_at > valid_from)
    }
    unknown = book.entries[place].entry.unknown_units
    return [
        row
        for row in said
        if line_of(row) not in lines and (row.unit in unknown or not is_covered(line_of(row), lines))
    ]


def _own_entry(book: KeptBook, offer: Offer) -> Place | None:
    """The place in the book of what a source's entry means; None where those are another's prices."""
    if offer.owner is not offer.provider:
        return None
    place = (offer.owner.id, offer.model.id)
    return place if place in book.entries else None


def _agreed_rows(place: Place, said: dict[str, Sequence[PriceRow]]) -> tuple[list[PriceRow], int]:
    """The rows of lines on which all agree, and on how many they don't; that very name's entry decides."""
    if place[1] in said:
        return list(said[place[1]]), 0
    lines: dict[Line, list[list[PriceRow]]] = {}
    for rows in said.values():
        own: dict[Line, list[PriceRow]] = {}
        for row in rows:
            own.setdefault(line_of(row), []).append(row)
        for line, found in own.items():
            lines.setdefault(line, []).append(found)
    agreed = [found for found in lines.values() if all(_terms(one) == _terms(found[0]) for one in found)]
    return [row for found in agreed for row in found[0]], len(lines) - len(agreed)


def _terms(rows: Sequence[PriceRow]) -> set[tuple[object, ...]]:
    return {terms_of(row) for row in rows}
