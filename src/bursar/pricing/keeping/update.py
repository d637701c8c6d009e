"""An update: what a source changes in the kept book, as values to be kept, shown, or thrown away.

A source replaces what it said before and what a lesser one says of the same; models that it no longer
lists stay, unless the update retires them. Names and rules of entries have no dates: the latest count.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from bursar.pricing.keeping.changes import Line, change_model, is_covered, line_of
from bursar.pricing.keeping.kept import KeptProvider, RowEnd
from bursar.pricing.keeping.source import GENAI
from bursar.pricing.keeping.told import tell_changes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from bursar.pricing.entries import ModelEntry
    from bursar.pricing.keeping.kept import KeptBook, KeptRow
    from bursar.pricing.keeping.source import PriceSource
    from bursar.pricing.keeping.told import PriceChange
    from bursar.pricing.rows import PriceRow

Place = tuple[str, str]
"""Provider and entry."""


class Wish(NamedTuple):
    """How a source is to be taken."""

    valid_from: datetime
    """From when on changes count for which the source has no date."""
    retires: bool = False
    """End the prices of models that the source no longer lists."""


class Touched(NamedTuple):
    """Rows of one line that end, each with the moment, and rows that begin."""

    place: Place
    ended: Sequence[tuple[KeptRow, datetime]]
    added: Sequence[PriceRow]


@dataclass(slots=True)
class Plan:
    """What an update would add to what is kept."""

    source: PriceSource
    valid_from: datetime
    rows: list[PriceRow] = field(default_factory=list["PriceRow"])
    ends: list[RowEnd] = field(default_factory=list[RowEnd])
    providers: list[KeptProvider] = field(default_factory=list[KeptProvider])
    entries: list[ModelEntry] = field(default_factory=list["ModelEntry"])
    touched: list[Touched] = field(default_factory=list["Touched"])
    """What happens to each line, in order."""
    vanished: list[Place] = field(default_factory=list[Place])
    """Models of this source that it no longer lists; they stay unless they are retired."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change."""
        return not (self.rows or self.ends or self.providers or self.entries)

    def changes(self) -> Iterator[PriceChange]:
        """Every price that is added, replaced or ended, told for people."""
        for one in self.touched:
            yield from tell_changes(one.place, one.ended, one.added)

    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        new = sum(len(one.added) for one in self.touched if not one.ended)
        kinds = Counter(
            change.kind.value
            for one in self.touched
            if one.ended
            for change in tell_changes(one.place, one.ended, one.added)
        )
        return {
            "new": new + kinds["new"],
            "changed": kinds["changed"],
            "ended": kinds["ended"],
            "vanished_models": len(self.vanished),
            "rows_added": len(self.rows),
            "rows_ended": len(self.ends),
            "entries": len(self.entries),
        }


def plan_update(book: KeptBook, source: PriceSource, wish: Wish) -> Plan:
    """What the source changes in the book."""
    plan = Plan(source, wish.valid_from)
    listed = {(entry.provider, entry.id): entry for entry in reversed(source.entries)}
    for entry in source.entries:
        _plan_entry(plan, book, entry)
    for place in dict.fromkeys((*listed, *source.rows)):
        kept, said = book.rows.get(place, ()), source.rows.get(place, ())
        unknown = listed[place].unknown_units if place in listed else ()
        _plan_rows(plan, book, place, _own_or_replaced(kept, said, source.name, unknown), said)
    _plan_providers(plan, book)
    plan.vanished = sorted(
        place
        for place, entry in book.entries.items()
        if entry.source == source.name and place not in listed and _has_open_rows(book, place)
    )
    if wish.retires:
        for place in plan.vanished:
            own = [one for one in book.rows[place] if one.row.source == source.name]
            _plan_rows(plan, book, place, own, ())
    return plan


def _plan_rows(
    plan: Plan, book: KeptBook, place: Place, kept: Sequence[KeptRow], said: Sequence[PriceRow]
) -> None:
    if not kept and place not in book.entries:
        if said:
            plan.rows += said
            plan.touched.append(Touched(place, [], said))
        return
    rows = {one.id: one for one in kept}
    for change in change_model(kept, said, plan.valid_from, lambda line: had_price(book, place, line)):
        plan.ends += change.ended
        plan.rows += change.added
        ended = [(rows[end.row_id], end.ends_at) for end in change.ended]
        plan.touched.append(Touched(place, ended, change.added))


def had_price(book: KeptBook, place: Place, line: Line) -> bool:
    """Whether the book has a price for what a line without rows is a price of: a broader one, or free."""
    known = book.entries.get(place)
    if known is None or line.unit in known.entry.unknown_units:
        return False
    rows = book.rows.get(place, ())
    return (known.entry.is_free and not rows) or is_covered(line, {line_of(one.row) for one in rows})


def _own_or_replaced(
    kept: Sequence[KeptRow], said: Sequence[PriceRow], name: str, unknown: Sequence[str]
) -> list[KeptRow]:
    """The rows that what is said now stands for: the source's own, and a lesser one's of the same.

    Of `unknown` units a source says that its broader prices aren't theirs.
    """
    if all(one.row.source == name for one in kept):
        return list(kept)
    lines = {line_of(row) for row in said}
    return [
        one
        for one in kept
        if one.row.source == name
        or line_of(one.row) in lines
        or (one.row.unit not in unknown and is_covered(line_of(one.row), lines))
    ]


def _plan_entry(plan: Plan, book: KeptBook, entry: ModelEntry) -> None:
    kept = book.entries.get((entry.provider, entry.id))
    if kept is None or kept.source != plan.source.name or _content(kept.entry) != _content(entry):
        plan.entries.append(entry)


def _content(entry: ModelEntry) -> tuple[object, ...]:
    """All of an entry but its position, which is kept with the provider."""
    return entry.name, entry.match, entry.is_free, entry.unknown_units


def _plan_providers(plan: Plan, book: KeptBook) -> None:
    listed: dict[str, list[str]] = {}
    for entry in plan.source.entries:
        listed.setdefault(entry.provider, []).append(entry.id)
    for provider in plan.source.providers:
        kept = book.providers.get(provider.id)
        names = listed.get(provider.id, [])
        before = kept.order if kept else ()
        # What only fills gaps is tried last.
        order = dict.fromkeys((*names, *before) if plan.source.name == GENAI else (*before, *names))
        made = KeptProvider(provider, tuple(order))
        if made != kept:
            plan.providers.append(made)


def _has_open_rows(book: KeptBook, place: Place) -> bool:
    return any(one.ends_at is None for one in book.rows.get(place, ()))
