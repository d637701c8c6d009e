"""Where the prices of an explained event come from: the rules and rows of the book behind its cards.

An explanation stands without this (`explain.py`): it is made from what was kept with the event. This
adds what the tenant's book still knows of the same cards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar.pricing.cards import card_from_json
from bursar.pricing.explain import explain_origin
from bursar.pricing.rating import PricingSubject

if TYPE_CHECKING:
    from collections.abc import Callable

    from bursar.pricing.book import PriceBook
    from bursar.pricing.explain import Explanation
    from bursar.usage.stored_event import StoredEvent


@dataclass(frozen=True, slots=True)
class OriginFinder:
    """Finds rules and price rows behind the cards of one event."""

    book: PriceBook
    """What rates such events today."""
    load_card: Callable[[str], str | None]
    event: StoredEvent

    def traced(self, explanation: Explanation, model: str | None) -> Explanation:
        """The same, with the rules and rows behind its card if the book still makes that card."""
        document = self.load_card(explanation.card.id) if explanation.card is not None else None
        if document is None:
            return explanation
        subject = PricingSubject(self.event.provider, model, self.event.time)
        return explain_origin(explanation, self.book, subject, card_from_json(document))
