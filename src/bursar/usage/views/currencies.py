"""Which currency an answer with one amount per figure is in, where events have several.

Amounts of different currencies are never added. A view that has room for one amount shows those of
one currency, says which, and lists every currency's total beside it; a filter on `currency` chooses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.usage.query_answer import Value

DEFAULT_CURRENCY = "USD"


def choose_currency(amounts: Mapping[str, Value]) -> str:
    """USD where any cost is known in it or none is known at all; else the first code of those known."""
    known = [currency for currency, amount in amounts.items() if amount is not None]
    return DEFAULT_CURRENCY if DEFAULT_CURRENCY in known or not known else min(known)
