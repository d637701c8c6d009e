"""A billing rule, and the one that counts for a call: a model's before a provider's before the default.

Of rules for the same calls the one with the later beginning counts, then the one recorded later; a rule in
the registration of a service counts where no billing rule does. A rule never changes: another one takes
its place, or it is withdrawn.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from bursar.pricing.rows import EVER, is_in_force
from bursar.pricing.rules.card import RuleCard
from bursar.pricing.rules.charge import Charge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bursar.pricing.rules.selection import FieldReader, Rates

DEFAULT_SERVICE_TYPE = "llm_service"
"""What an event is that names no service type."""


class BillingRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What calls of a service cost, which of them, and when."""

    id: str
    service_type: str
    provider: str | None = None
    model: str | None = None
    """Which provider and model it is for, in any case of letters; None: for all."""
    currency: str
    charge: Charge
    minimum_charge: Decimal | None = None
    valid_from: datetime | None = None
    """Aware; None: since ever."""
    valid_to: datetime | None = None
    """Exclusive; None: for ever."""
    recorded_at: datetime
    recorded_by: str
    """The key that recorded it."""
    is_inline: bool = False
    """Whether it stands in the registration of its service."""

    def holds_at(self, moment: datetime) -> bool:
        """Whether it is in force at an aware moment."""
        return is_in_force(self, moment)

    def is_for(self, provider: str | None, model: str | None) -> bool:
        """Whether it is meant for calls of this provider and model."""
        return _fits(self.provider, provider) and _fits(self.model, model)

    @property
    def matched(self) -> str:
        """What makes it count, where it does."""
        if self.model is not None:
            return "model"
        return "default" if self.provider is None else "provider"

    def card_for(self, read: FieldReader) -> RuleCard:
        """What an event that it bills keeps of it.

        Raises:
            NoRate: the event asks for a rate that it doesn't have.
        """
        charge = self.charge.chosen(read)
        return RuleCard(
            rule_id=self.id,
            service_type=self.service_type,
            provider=self.provider,
            model=self.model,
            matched=self.matched,
            currency=self.currency,
            charge=charge,
            minimum_charge=self.minimum_charge,
            conditions=_conditions_of(charge),
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            source=f"recorded {self.recorded_at.astimezone(UTC).isoformat()} by {self.recorded_by}",
        ).sealed()

    def rank(self) -> tuple[bool, bool, bool, datetime, datetime, str]:
        """Of the rules for a call, the one that ranks highest counts."""
        begins = self.valid_from or EVER
        has_model, has_provider = self.model is not None, self.provider is not None
        return has_model, has_provider, not self.is_inline, begins, self.recorded_at, self.id


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules of a tenant that count; it never changes, another one takes its place."""

    by_service: dict[str, tuple[BillingRule, ...]] = field(
        default_factory=dict[str, "tuple[BillingRule, ...]"]
    )
    """Those of a service, the one that counts first at the front."""
    service_types: frozenset[str | None] = frozenset()
    """Those that have rules; None among them where events without a service type have."""
    _cards: dict[tuple[str, tuple[str, ...]], RuleCard] = field(
        default_factory=dict[tuple[str, tuple[str, ...]], RuleCard], repr=False, compare=False
    )

    @classmethod
    def of(cls, rules: Iterable[BillingRule]) -> RuleBook:
        """A book of these rules."""
        by_service: dict[str, list[BillingRule]] = defaultdict(list)
        for rule in rules:
            by_service[rule.service_type].append(rule)
        ranked = {
            name: tuple(sorted(rules, key=BillingRule.rank, reverse=True))
            for name, rules in by_service.items()
        }
        unnamed = {None} if DEFAULT_SERVICE_TYPE in ranked else frozenset[None]()
        return cls(ranked, frozenset(ranked) | unnamed)

    def find(
        self, service_type: str, provider: str | None, model: str | None, moment: datetime
    ) -> BillingRule | None:
        """The rule that counts for such a call at an aware moment."""
        for rule in self.by_service.get(service_type, ()):
            if rule.is_for(provider, model) and rule.holds_at(moment):
                return rule
        return None

    def card_of(self, rule: BillingRule, read: FieldReader) -> RuleCard:
        """The rule's card for an event, made once for every choice of rates.

        Raises:
            NoRate: the event asks for a rate that the rule doesn't have.
        """
        said = tuple(read(name) or "" for name in _choosing_fields(rule.charge))
        card = self._cards.get((rule.id, said))
        if card is None:
            card = rule.card_for(read)
            # As many as the rule has rates: what it doesn't have is refused above.
            self._cards[rule.id, said] = card
        return card


NO_RULES = RuleBook()


def _fits(wanted: str | None, said: str | None) -> bool:
    return wanted is None or (said is not None and wanted.casefold() == said.casefold())


def _rates_of(charge: Charge) -> tuple[Rates, ...]:
    parts = getattr(charge, "parts", (charge,))
    return tuple(rates for part in parts if (rates := getattr(part, "rates", None)) is not None)


def _choosing_fields(charge: Charge) -> tuple[str, ...]:
    return tuple(rates.field for rates in _rates_of(charge) if rates.field is not None)


def _conditions_of(charge: Charge) -> dict[str, str]:
    """Of a charge whose rates are chosen: which field chose which."""
    return {rates.field: next(iter(rates.by_name)) for rates in _rates_of(charge) if rates.field is not None}
