"""The cards that events keep: of prices (`card.py`) and of billing rules (`rules/card.py`), told apart.

A rule's card says `"kind":"billing_rule"` in its JSON, a rate card says nothing of the kind. Both answer
`lines(units)`, and whoever loads a card by its id loads either through `card_from_json`.
"""

from __future__ import annotations

import msgspec

from bursar.pricing.card import RateCard
from bursar.pricing.rules.card import KIND, RuleCard

Card = RateCard | RuleCard


def has_contract_price(card: Card | None) -> bool:
    """Whether a price that a customer agreed on by contract is on a card."""
    return isinstance(card, RateCard) and any(term.kind == "contract_price" for term in card.terms or ())


class _Kind(msgspec.Struct):
    kind: str | None = None


def card_from_json(document: str) -> Card:
    """The card that `to_json` of either kind wrote.

    Raises:
        ValueError: not a card, or its content is not what its id says.
    """
    kind = msgspec.json.decode(document, type=_Kind).kind
    return RuleCard.from_json(document) if kind == KIND else RateCard.from_json(document)
