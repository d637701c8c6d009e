"""Rating by a billing rule: the exact cost of one event of a tenant's own service, or why it isn't known.

Rules are evaluated for each event by itself. A cost that can't be known is never 0; beside the reasons
of `rating.py` there are these.

    no_quantity:<unit>      the event reports nothing that the rule counts
    no_rate_for:<name>      the event asks for a rate that the rule doesn't have
    division_by_zero, negative_amount, expression_too_large, exponent_out_of_range
                            the rule's expression has no price for these quantities
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.pricing.rating import CostStatus, Rating, priced
from bursar.pricing.rules.charge import counted_names
from bursar.pricing.rules.expression import FaultyExpression
from bursar.pricing.rules.quantity import is_said
from bursar.pricing.rules.selection import NoRate

if TYPE_CHECKING:
    from collections.abc import Collection

    from bursar.pricing.rules.rule import BillingRule, RuleBook
    from bursar.pricing.rules.selection import FieldReader
    from bursar.units import Quantities


def rate_by_rule(
    rules: RuleBook, rule: BillingRule, units: Quantities, said: Collection[str], read: FieldReader
) -> Rating:
    """The cost of an event's units by a rule of these.

    Args:
        rules: the book that the rule was found in.
        rule: it.
        units: what was used, in steps.
        said: the units that the event names, those of which it used none included.
        read: what the event says in a field, for rates that are chosen by one.

    Raises:
        Invalid: the amount is one million or more (`out_of_range`).
    """
    names = counted_names(rule.charge)
    if names and not any(is_said(name, said) for name in names):
        return _unknown(rule, f"no_quantity:{min(names)}")
    try:
        card = rules.card_of(rule, read)
        picos = card.amount_for(units)
    except NoRate as missing:
        return _unknown(rule, f"no_rate_for:{missing}")
    except FaultyExpression as fault:
        return _unknown(rule, fault.code)
    return priced(card, picos)


def _unknown(rule: BillingRule, reason: str) -> Rating:
    return Rating(CostStatus.UNPRICED, None, rule.currency, None, reason)
