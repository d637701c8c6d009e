"""Reads a FOCUS export piece by piece: a UTC day at a time, or some thousands of events.

A piece is CSV text without a header. Within it, rows are in a fixed order, so that reading the same piece
again gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bursar.billing.focus.charges import ChargeKey, Charges
from bursar.usage.csv_table import write_rows
from bursar.usage.export_selection import FocusGrain
from bursar.usage.exports.pieces import Piece

if TYPE_CHECKING:
    from collections.abc import Callable

    from bursar.billing.focus.charges import Charge
    from bursar.billing.focus.rows import FocusRows
    from bursar.pricing.cards import Card
    from bursar.usage.csv_table import Cell
    from bursar.usage.export_selection import ExportSelection
    from bursar.usage.store import UsageQuestions


@dataclass(frozen=True, slots=True)
class FocusPieces:
    """The pieces of one FOCUS export."""

    rows: FocusRows
    is_raw: bool
    """Whether texts stay as they are, those that a spreadsheet takes for formulas too."""
    load_card: Callable[[str], Card | None]
    _cards: dict[str, Card | None] = field(default_factory=dict[str, "Card | None"])

    def read(self, store: UsageQuestions, selection: ExportSelection, place: int, limit: int) -> Piece:
        """The piece at a place: 0 at first, then what the piece before said.

        It ends with the event or the day in which it reaches `limit` rows, or earlier.
        """
        del limit  # A piece is small enough as it is.
        charges = Charges(self._card)
        if self.rows.grain is FocusGrain.EVENT:
            found = store.export_events(selection, place)
            charges.add_alike(found.sums)
        else:
            found = store.export_sums(selection, self.rows.grain, place)
            refused = charges.add_sums(found.sums)
            charges.add_alike(store.export_alike(selection, self.rows.grain, place, refused))
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
