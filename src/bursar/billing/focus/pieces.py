"""Reads a FOCUS export piece by piece: a UTC day at a time, or some thousands of events.

A piece is CSV text without a header. Within it, rows are in a fixed order, so that reading the same piece
again gives the same bytes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

from bursar.billing.focus.charges import ChargeKey, Charges
from bursar.usage.csv_table import write_rows
from bursar.usage.export_selection import FocusGrain
from bursar.usage.exports.pieces import Piece

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bursar.billing.focus.charges import Charge
    from bursar.billing.focus.rows import FocusRows
    from bursar.pricing.cards import Card
    from bursar.usage.csv_table import Cell
    from bursar.usage.export_selection import ExportSelection, UsageSum
    from bursar.usage.store import UsageQuestions

LOOKED_AT_LIMIT = 100_000
"""Events of a day whose units are looked at one by one: some 10 s, a third of what a question may take."""


@dataclass(frozen=True, slots=True)
class FocusPieces:
    """The pieces of one FOCUS export."""

    rows: FocusRows
    is_raw: bool
    """Whether texts stay as they are, those that a spreadsheet takes for formulas too."""
    load_card: Callable[[str], Card | None]
    looked_at_limit: int = LOOKED_AT_LIMIT
    _cards: dict[str, Card | None] = field(default_factory=dict[str, "Card | None"])

    def read(self, store: UsageQuestions, selection: ExportSelection, place: int, limit: int) -> Piece:
        """The piece at a place: 0 at first, then what the piece before said.

        It is never cut short: a day is summed up as a whole, and its rows have no places of their own.
        """
        del limit
        charges = Charges(self._card)
        if self.rows.grain is FocusGrain.EVENT:
            found = store.export_events(selection, place)
            charges.add_alike(found.sums)
        else:
            found = store.export_sums(selection, self.rows.grain, place)
            refused = charges.add_sums(found.sums)
            few = _few_of(refused, found.sums, self.looked_at_limit)
            charges.add_whole(one for one in found.sums if one.key.rate_card in refused - few)
            charges.add_alike(store.export_alike(selection, self.rows.grain, place, few))
        return self._write(charges, found.next_place)

    def _card(self, card_id: str) -> Card | None:
        if card_id not in self._cards:
            self._cards[card_id] = self.load_card(card_id)
        return self._cards[card_id]

    def _write(self, charges: Charges, next_place: int | None) -> Piece:
        ordered = charges.found.items()
        if self.rows.grain is not FocusGrain.EVENT:
            ordered = sorted(ordered, key=_order)
        cells = [self._cells(key, charge) for key, charge in ordered]
        return Piece(write_rows(cells, is_raw=self.is_raw).encode(), len(cells), next_place)

    def _cells(self, key: ChargeKey, charge: Charge) -> list[Cell]:
        card = None if key.card_id is None else self._card(key.card_id)
        return list(self.rows.cells(key, charge, card))


def _few_of(cards: frozenset[str], sums: Sequence[UsageSum], limit: int) -> frozenset[str]:
    """Of these cards those whose events there is time to look at; cards of fewer events come first."""
    events = Counter[str]()
    for one in sums:
        if one.key.rate_card in cards:
            events[one.key.rate_card or ""] += one.events
    ordered = sorted(events, key=lambda card: (events[card], card))
    return frozenset(
        card
        for card, so_far in zip(ordered, accumulate(events[card] for card in ordered), strict=True)
        if so_far <= limit
    )


def _order(item: tuple[ChargeKey, Charge]) -> tuple[object, ...]:
    """By period, then by all that tells charges apart; absent texts first."""
    key = item[0]
    usage = key.usage
    texts = (
        usage.provider,
        key.model,
        usage.model,
        usage.project_id,
        usage.service_type,
        usage.region,
        usage.service_tier,
        usage.speed,
        usage.currency,
        usage.cost_status,
        key.card_id,
        usage.rate_card,
        key.unit,
    )
    return (usage.period, *((text is not None, text or "") for text in texts), str(usage.batch))
