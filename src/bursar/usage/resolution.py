"""By which step an event's cost was found, of all that are tried in order; the word that explanations use.

The order is `costing.py`'s: a contract's price, the figure of a provider that the tenant trusts, a billing
rule for a service of one's own, the price book, the caller's own figure; where none of them knows, nobody.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from bursar.pricing.rating import CostStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bursar.pricing.explain import Explanation


class ResolvedBy(StrEnum):
    """The steps, in the order in which they are tried."""

    CONTRACT = "contract"
    """A price that the tenant agreed on by contract is on the card."""
    PROVIDER_REPORTED = "provider_reported"
    """The provider's own figure, for the tenant trusts that provider."""
    BILLING_RULE = "billing_rule"
    """A rule for a service of one's own."""
    PRICE_BOOK = "price_book"
    """The list prices, with the tenant's discounts, markups, multipliers and fees over them."""
    CLIENT_REPORTED = "client_reported"
    """The caller's own figure, for nothing above knows one."""
    NOBODY = "nobody"
    """Unknown, for a named reason; or nothing was used, and nothing is charged for that."""


_BY_STATUS = {
    CostStatus.PROVIDER_REPORTED.value: ResolvedBy.PROVIDER_REPORTED,
    CostStatus.CLIENT_REPORTED.value: ResolvedBy.CLIENT_REPORTED,
}


def resolved_by(explanation: Explanation, shares: Sequence[Explanation] = ()) -> ResolvedBy:
    """The step that a cost came from; of several models' shares it is that of the event's own model."""
    if explanation.status in _BY_STATUS:
        return _BY_STATUS[explanation.status]
    cards = [one.card for one in (explanation, *shares) if one.card is not None]
    if explanation.total is None or not cards:
        return ResolvedBy.NOBODY
    if cards[0].kind == ResolvedBy.BILLING_RULE:
        return ResolvedBy.BILLING_RULE
    has_contract = any(term.kind == "contract_price" for term in cards[0].terms)
    return ResolvedBy.CONTRACT if has_contract else ResolvedBy.PRICE_BOOK
