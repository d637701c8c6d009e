"""What a provider's answer says about usage, in our words: the result of every normaliser."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from bursar.units import Quantities

EVERYTHING = "everything"
FEE_AND_UPSTREAM = "fee_and_upstream"


@dataclass(frozen=True, slots=True)
class UsagePart:
    """Units that another model of the same call consumed, billed at that model's price."""

    model: str
    units: Quantities


@dataclass(frozen=True, slots=True)
class ProviderCost:
    """What the provider itself says that the answer cost."""

    amount: Decimal
    """Exact, at least 0, and no finer than 1e-12."""
    covers: str
    """`everything` that the provider charges; `fee_and_upstream` where it adds up what it charges itself
    and what another provider bills to a key of one's own."""
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class ProviderUsage:
    """Disjoint units of one answer and what decides their price; absent means not said."""

    units: Quantities
    """All units of the answer, those of `parts` included."""
    custom: Quantities = field(default_factory=dict[str, int])
    """Units that aren't built in, such as `file_searches`."""
    parts: tuple[UsagePart, ...] = ()
    """Only where other models took part (an advisor): the units of each, out of `units`."""
    service_tier: str | None = None
    batch: bool | None = None
    speed: str | None = None
    region: str | None = None
    context_tokens: int | None = None
    """Prompt size that decides whole-request tiers, where it is not the sum of input units."""
    reported_cost: ProviderCost | None = None
    """The provider's own figure, kept beside ours and never taken for it unasked."""
    notes: tuple[str, ...] = field(default=())
    """Named peculiarities of the reading, shown by explain."""


def sum_units(several: Sequence[Quantities]) -> Quantities:
    """The units of several shares together."""
    total: Quantities = {}
    for units in several:
        for name, quantity in units.items():
            total[name] = total.get(name, 0) + quantity
    return total
