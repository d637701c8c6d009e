"""Events as they are stored, on their way to be rated again: what decides their cost, and what they cost now.

The store hands over columns (`RatableRows`); each row becomes the `Billable` that ingest made of the event,
so that one path rates both. What the rows of many events have in common is read once, by its text.
`repricing.py` goes through a selection with it, `price_changes.py` adds up what would change.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from bursar.errors import Invalid
from bursar.exact import decode_json
from bursar.money import format_picos
from bursar.pricing.cards import card_from_json
from bursar.pricing.match import GATEWAYS
from bursar.pricing.rating import CostStatus, PricingSubject, Rating, unpriced
from bursar.pricing.rules.card import RuleCard
from bursar.pricing.rules.charge import counted_names
from bursar.units import INPUT_UNITS, OUTPUT_UNITS
from bursar.usage.costing import Billable, cost_billable, field_text, parts_of
from bursar.usage.event import ReportedCost
from bursar.usage.providers.normalise import normalise_usage
from bursar.usage.ratable_rows import Common
from bursar.usage.record import UsagePartLine
from bursar.usage.record_parts import REPORTED_BY_PROVIDER, stored_amount

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bursar.pricing.books import TenantPrices
    from bursar.units import Quantities
    from bursar.usage.ratable_rows import RatableRows

COMMONS_KEPT = 20_000
"""Of `Common`, some 20 MB: most tenants have hundreds, and some as many as events."""
COST_OUT_OF_RANGE = "cost_out_of_range"
"""Why an event has no cost whose usage would cost a million or more by the prices of now."""


ERASED = "erased"
"""Why an event keeps its rating that a billing rule can't rate any more: an erasure took what the rule asks
for."""


class RatedAgain(msgspec.Struct, gc=False):
    """One event with its rating of now and the one that it has."""

    seq: int
    time: datetime
    key: str
    """Its text of `RatableRows.common`."""
    common: Common
    picos_before: int | None
    rating: Rating
    provider: str | None
    """The event's provider by the new rating."""
    parts: list[UsagePartLine] | None
    is_changed: bool
    kept: str | None = None
    """Why it keeps the rating it has, whatever the prices of now: `ERASED`."""


_decode_common = msgspec.json.Decoder(Common).decode
_decode_parts = msgspec.json.Decoder(list[UsagePartLine]).decode
_decode_units = msgspec.json.Decoder(dict[str, int]).decode

Respelled = Callable[[PricingSubject], PricingSubject]
"""What an event is to be rated as, to see what it would cost; most are rated as what they are."""


class RatesAgain:
    """Rates stored events by a tenant's prices; for one thread."""

    def __init__(
        self,
        prices: TenantPrices,
        load_card: Callable[[str], str | None],
        respelled: Respelled | None = None,
    ) -> None:
        """`load_card` finds the document of a card that an event was rated by."""
        self._prices = prices
        self._load_card = load_card
        self._respelled = respelled
        self._known: dict[str, tuple[Common, str | None]] = {}
        self._rules: dict[str, str] = {}
        self._counted: dict[str, frozenset[str]] = {}
        """By card, of which there are few: reading one takes a question to the state store."""

    def rate(self, rows: RatableRows) -> Iterator[RatedAgain]:
        """Each of the events with its rating of now, in order."""
        names = tuple(rows.units)
        quantities = zip(*rows.units.values(), strict=True) if names else iter([()] * len(rows.seqs))
        for seq, time, key, picos, context, custom, parts, reported, usage, fields, counted in zip(
            rows.seqs,
            rows.times,
            rows.common,
            rows.picos,
            rows.context_tokens,
            rows.custom_units,
            rows.parts,
            rows.reported_picos,
            rows.usages,
            rows.fields,
            quantities,
            strict=True,
        ):
            common, provider = self._known.get(key) or self._know(key)
            units = {name: steps for name, steps in zip(names, counted, strict=True) if steps is not None}
            if custom is not None:
                units |= _decode_units(custom)
            shares = () if parts is None else _decode_parts(parts)
            billable = self._billable(common, _subject(common, provider, time, context), units, shares)
            if reported is not None:
                billable = self._with_reported(billable, common, reported, usage)
            said = None if fields is None else _Said(fields, billable.subject)
            if said is not None:
                billable = msgspec.structs.replace(billable, read=said.read)
            rating = self._cost(billable)
            if said is not None and said.is_lost:
                yield _kept(seq, time, key, common, picos)
                continue
            again = RatedAgain(seq, time, key, common, picos, rating, provider, None, is_changed=False)
            yield self._compare(again, shares)

    def _billable(
        self, common: Common, subject: PricingSubject, units: Quantities, shares: Sequence[UsagePartLine]
    ) -> Billable:
        rated_as = subject if self._respelled is None else self._respelled(subject)
        own, model = subject.model or "", rated_as.model or ""
        return Billable(
            rated_as,
            units,
            lambda: self._named_units(common, units),
            _says_nothing,
            tuple((model if one.model == own else one.model, one.units) for one in shares),
            common.project_id,
            common.service_type,
            common.status == "error",
            source=common.units_source,
        )

    def _named_units(self, common: Common, units: Quantities) -> set[str]:
        """The units that the event spoke of, as far as its row tells: those used, and those billed before.

        A unit that it named with a quantity of 0 is in no row.
        """
        named = set(units)
        if (common.units_source or "").startswith(("totals", "estimated")):
            named.update(INPUT_UNITS, OUTPUT_UNITS)
        if common.rate_card is None:
            return named
        counted = self._counted.get(common.rate_card)
        if counted is None:
            counted = self._counted[common.rate_card] = self._counted_by(common.rate_card)
        return named | counted

    def _counted_by(self, card_id: str) -> frozenset[str]:
        """The units that a rule's card counts; none where it is no rule's."""
        document = self._load_card(card_id)
        card = card_from_json(document) if document else None
        return frozenset(counted_names(card.charge)) if isinstance(card, RuleCard) else frozenset()

    def _with_reported(self, billable: Billable, common: Common, picos: int, usage: str | None) -> Billable:
        """The event with the figure that caller or provider gave; with both where the provider is trusted.

        Where both gave one the row keeps the caller's; the provider's is in its own usage object.
        """
        reported = _figure(picos, common.reported_currency or common.currency)
        if common.reported_by == REPORTED_BY_PROVIDER:
            return msgspec.structs.replace(billable, provider_reported=reported)
        provider = billable.subject.provider
        if usage is None or provider is None or not self._prices.trusts(provider):
            return msgspec.structs.replace(billable, reported=reported)
        try:
            said = normalise_usage(decode_json(usage.encode()), provider).reported_cost
        except Invalid:
            # An older Bursar read it, and this one doesn't any more.
            said = None
        return msgspec.structs.replace(billable, reported=reported, provider_reported=said)

    def _cost(self, billable: Billable) -> Rating:
        try:
            return cost_billable(self._prices, billable)
        except Invalid:
            return unpriced(COST_OUT_OF_RANGE)

    def _compare(self, again: RatedAgain, shares: Sequence[UsagePartLine]) -> RatedAgain:
        """Note what the rating says besides the cost, and whether anything but the card is another."""
        rating, common = again.rating, again.common
        if again.provider is None and rating.card is not None:
            again.provider = rating.card.provider
        parts = parts_of(rating)
        if parts:
            again.parts = [
                UsagePartLine(
                    model=one.model,
                    units=one.units,
                    rate_card=one.rating.card.id if one.rating.card else None,
                    cost=stored_amount(one.rating.picos),
                    cost_reason=one.rating.reason,
                )
                for one in parts
            ]
        again.is_changed = (
            rating.picos != again.picos_before
            or rating.status.value != common.cost_status
            or rating.currency != common.currency
            or rating.reason != common.cost_reason
            or again.provider != common.provider
            or (bool(shares or parts) and _amounts(again.parts or ()) != _amounts(shares))
        )
        return again

    def _know(self, key: str) -> tuple[Common, str | None]:
        common = _decode_common(key)
        if len(self._known) == COMMONS_KEPT:
            self._known.clear()
        known = self._known[key] = common, self._said_provider(common)
        return known

    def _said_provider(self, common: Common) -> str | None:
        """The provider that the event named; None where the one that is stored was found by the rating."""
        provider, card_id = common.provider, common.rate_card
        if common.provider_named is not None:
            return provider if common.provider_named == "true" else None
        if provider is None or card_id is None or provider.strip().lower() in GATEWAYS:
            return provider
        if card_id not in self._rules:
            document = self._load_card(card_id)
            # Of a card that isn't kept nothing says otherwise.
            self._rules[card_id] = _rule_of(document) if document else NAMED
        return provider if self._rules[card_id].startswith(NAMED) else None


NAMED = "provider_named"
"""How a card's `rule` begins where the event itself named the provider (`pricing/match.py`)."""


class _CardRule(msgspec.Struct):
    rule: str = NAMED


def _rule_of(document: str) -> str:
    return msgspec.json.decode(document, type=_CardRule).rule


def _subject(
    common: Common, provider: str | None, time: datetime, context_tokens: int | None
) -> PricingSubject:
    return PricingSubject(
        provider,
        common.response_model or common.model,
        time.replace(tzinfo=UTC),
        common.service_tier,
        common.batch == "true",
        common.speed,
        common.region,
        context_tokens,
    )


def _says_nothing(_name: str) -> None:
    """Of an event whose service has no billing rule nobody asks."""


class _Said:
    """What a stored event says in its fields, for a billing rule that asks."""

    def __init__(self, fields: str, subject: PricingSubject) -> None:
        self._subject = subject
        self._fields: dict[str, Any] = msgspec.json.decode(fields)
        self._metadata: dict[str, Any] = self._fields.pop("metadata") or {}
        self._tags: dict[str, Any] = self._fields.pop("tags") or {}
        self._is_erased = bool(self._fields.pop(ERASED, False))
        self.is_lost = False
        """Whether something was asked for that isn't there, of an event that an erasure took words from."""

    def read(self, name: str) -> str | None:
        """The text under a name."""
        known = getattr(self._subject, name, None) or self._fields.get(name)
        text = field_text(name, known, self._metadata, self._tags)
        self.is_lost = self.is_lost or (text is None and self._is_erased)
        return text


def _kept(seq: int, time: datetime, key: str, common: Common, picos: int | None) -> RatedAgain:
    """The event with the rating it has, for what would rate it again was erased."""
    rating = Rating(CostStatus(common.cost_status), picos, common.currency, None, common.cost_reason)
    return RatedAgain(
        seq, time, key, common, picos, rating, common.provider, None, is_changed=False, kept=ERASED
    )


def _figure(picos: int, currency: str) -> ReportedCost:
    return ReportedCost(Decimal(format_picos(picos)), currency)


def _amounts(parts: Sequence[UsagePartLine]) -> list[tuple[Any, ...]]:
    return [(one.model, one.cost, one.cost_reason) for one in parts]
