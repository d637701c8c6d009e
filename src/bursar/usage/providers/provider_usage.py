"""What a provider's answer says about usage, in our words: the result of every normaliser."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bursar.units import Quantities


@dataclass(frozen=True, slots=True)
class UsagePart:
    """Units that another model of the same call consumed, billed at that model's price."""

    model: str
    units: Quantities


@dataclass(frozen=True, slots=True)
class ProviderUsage:
    """Disjoint units of one answer and what decides their price; absent means not said."""

    units: Quantities
    """All units of the answer, those of `parts` included."""
    parts: tuple[UsagePart, ...] = ()
    """Only where other models took part (an advisor): the units of each, out of `units`."""
    service_tier: str | None = None
    batch: bool | None = None
    speed: str | None = None
    region: str | None = None
    context_tokens: int | None = None
    """Prompt size that decides whole-request tiers, where it is not the sum of input units."""
    notes: tuple[str, ...] = field(default=())
    """Named peculiarities of the reading, shown by explain."""
