"""Splits sums of events into charges: what each unit class of one rate card cost, to the last digit.

A sum is split by the lines of its card. The lines of a sum of events are the sum of their lines for most
cards; where they don't come to the known cost (rounding, minimums, graduated rules), the same is done for
events that are all alike, one line at a time. What even then doesn't come to the cost is one charge, of
the unit class `total`, and so is what is too much to be looked at event by event: no row is ever a guess, and
no cost is ever missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from bursar.pricing.card import UNBILLED_UNITS, RateCard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bursar.pricing.card import Line
    from bursar.pricing.cards import Card
    from bursar.units import Quantities
    from bursar.usage.export_selection import UsageKey, UsageSum

    _Priced = tuple[Line, int | None]
    """A line with its amount at list prices, if that is known."""

REPORTED = "reported"
"""The unit class of costs that others reported: they have no lines."""
UNBILLED = "unbilled"
"""The unit class of calls that cost nothing and have no rates, such as those that failed."""
TOTAL = "total"
"""The unit class of costs that their card's lines don't come to."""


@dataclass(frozen=True, slots=True)
class ChargeKey:
    """What tells charges apart."""

    usage: UsageKey
    model: str | None
    """The model that was charged for; another one than was asked for where several took part."""
    card_id: str | None
    unit: str


@dataclass(slots=True)
class Charge:
    """What one unit class cost."""

    steps: int = 0
    """The quantity in the unit's smallest steps."""
    events: int = 0
    cost_picos: int = 0
    list_picos: int = 0
    """At list prices; the cost itself where no list price is known."""
    is_list_known: bool = True
    rate_text: str | None = None


class _Part(msgspec.Struct):
    """A share of an event as it is stored."""

    model: str
    units: dict[str, int]
    rate_card: str | None = None
    cost: str | None = None


_PARTS = msgspec.json.Decoder(list[_Part])


class Charges:
    """Collects the charges of sums; equal keys add up."""

    def __init__(self, card_of: Callable[[str], Card | None]) -> None:
        """Split by the cards that `card_of` finds by id."""
        self._card_of = card_of
        self.found: dict[ChargeKey, Charge] = {}

    def add_sums(self, sums: Iterable[UsageSum]) -> frozenset[str]:
        """Add sums of events that aren't alike.

        Returns the cards whose lines don't come to the cost of a sum: nothing of these was added, their
        events have to be asked for again, those that are alike together.
        """
        sums = tuple(sums)
        lines = [self._lines(one.key.rate_card, one.units) for one in sums]
        refused = frozenset(
            one.key.rate_card
            for one, found in zip(sums, lines, strict=True)
            if one.key.rate_card is not None and _amount(found) != one.cost_picos
        )
        for one, found in zip(sums, lines, strict=True):
            if one.key.rate_card is None:
                self._add_whole(one, UNBILLED if not one.cost_picos else REPORTED)
            elif one.key.rate_card not in refused:
                self._add_lines(one, one.key.model, one.key.rate_card, found, one.counts)
        return refused

    def add_alike(self, sums: Iterable[UsageSum]) -> None:
        """Add sums of events with the very same units."""
        for one in sums:
            if one.parts is not None:
                self._add_parts(one, _PARTS.decode(one.parts))
            elif one.key.rate_card is None:
                self._add_whole(one, UNBILLED if not one.cost_picos else REPORTED)
            else:
                found = self._lines(one.key.rate_card, one.units)
                if _amount(found) * one.events == one.cost_picos:
                    self._add_lines(one, one.key.model, one.key.rate_card, found, None)
                else:
                    self._add_whole(one, TOTAL)

    def add_whole(self, sums: Iterable[UsageSum]) -> None:
        """Add sums without a look at their cards."""
        for one in sums:
            self._add_whole(one, TOTAL)

    def _add_parts(self, one: UsageSum, parts: Sequence[_Part]) -> None:
        lines = [self._lines(part.rate_card, part.units) for part in parts]
        if sum(map(_amount, lines)) * one.events != one.cost_picos:
            self._add_whole(one, TOTAL)
            return
        for part, found in zip(parts, lines, strict=True):
            self._add_lines(one, part.model, part.rate_card, found, None)

    def _lines(self, card_id: str | None, units: Quantities) -> tuple[_Priced, ...]:
        """The lines of some units with their amounts at list prices; none where there is no card for them."""
        card = None if card_id is None else self._card_of(card_id)
        if card is None:
            return ()
        try:
            lines = card.lines(units)
        except ValueError:
            return ()
        return tuple((line, _list_amount(card, line)) for line in lines)

    def _add_lines(
        self,
        one: UsageSum,
        model: str | None,
        card_id: str | None,
        lines: Sequence[_Priced],
        counts: Mapping[str, int] | None,
    ) -> None:
        """Add lines: those of each single event, or (with `counts`) those of all events together."""
        times = one.events if counts is None else 1
        for line, list_picos in lines:
            charge = self._charge(one.key, model, card_id, line.unit)
            charge.steps += line.quantity_steps * times
            charge.events += one.events if counts is None else counts.get(line.unit, one.events)
            charge.cost_picos += line.amount_picos * times
            charge.list_picos += (line.amount_picos if list_picos is None else list_picos) * times
            charge.is_list_known &= list_picos is not None
            charge.rate_text = line.rate_text

    def _add_whole(self, one: UsageSum, unit: str) -> None:
        charge = self._charge(one.key, one.key.model, one.key.rate_card, unit)
        charge.events += one.events
        charge.cost_picos += one.cost_picos
        charge.list_picos += one.cost_picos
        charge.is_list_known = unit == UNBILLED

    def _charge(self, key: UsageKey, model: str | None, card_id: str | None, unit: str) -> Charge:
        return self.found.setdefault(ChargeKey(key, model, card_id, unit), Charge())


def _amount(lines: Sequence[_Priced]) -> int:
    return sum(line.amount_picos for line, _ in lines)


def _list_amount(card: Card, line: Line) -> int | None:
    """What the list charges for a line, its own amount where no terms apply; None where that isn't known."""
    if not isinstance(card, RateCard) or card.terms is msgspec.UNSET:
        return line.amount_picos
    if card.list_rates is msgspec.UNSET:
        return None
    rate = card.list_rates.get(line.unit)
    if rate is None:
        # A request that only a fee of the customer's own bills costs nothing by the list.
        return 0 if line.unit in UNBILLED_UNITS else None
    return rate.amount_for(line.quantity_steps)
