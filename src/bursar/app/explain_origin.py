"""Where the prices of an explained event come from: the rules and rows of the book behind its cards.

An explanation stands without this (`explain.py`): it is made from what was kept with the event. This
adds what the tenant's book still knows of the same cards.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bursar.pricing.cards import card_from_json
from bursar.pricing.explain import explain_origin
from bursar.pricing.rating import PricingSubject

if TYPE_CHECKING:
    from collections.abc import Callable

    from bursar.app.explain import EventExplanation
    from bursar.pricing.book import PriceBook
    from bursar.pricing.explain import Explanation


def with_origins(
    explained: EventExplanation, book: PriceBook, load_card: Callable[[str], str | None]
) -> EventExplanation:
    """The same explanation, with the rules and price rows behind each card that the book still makes."""

    def traced(explanation: Explanation, model: str | None) -> Explanation:
        document = load_card(explanation.card.id) if explanation.card is not None else None
        if document is None:
            return explanation
        subject = PricingSubject(explained.provider, model, explained.time)
        return explain_origin(explanation, book, subject, card_from_json(document))

    return replace(
        explained,
        explanation=traced(explained.explanation, explained.response_model or explained.model),
        parts=[replace(part, explanation=traced(part.explanation, part.model)) for part in explained.parts],
    )
