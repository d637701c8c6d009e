"""Making tariffs: from a plan's schedule to seasons, slices and bands of rate cards.

Everything here happens once for a model, a way of calling and a set of terms; the result only looks
cards up (`tariff.py`). What holds when is decided in `seasons.py`, what it costs in `layers.py`; this
writes it on cards, with the conditions in words.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from msgspec import UNSET

from bursar.pricing.card import RateCard
from bursar.pricing.layers import price_band
from bursar.pricing.rows import DAY_SECONDS
from bursar.pricing.seasons import make_schedule
from bursar.pricing.tariff import Bands, Quote, Season, Tariff, TokenPrices
from bursar.pricing.week_words import hours_text

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.pricing.card import Rate
    from bursar.pricing.layers import PricedBand
    from bursar.pricing.seasons import Layers, Plan, Schedule


def build_tariff(plan: Plan) -> Tariff:
    """All rate cards of a plan."""
    schedule = make_schedule(plan)
    begins = (None, *schedule.starts)
    seasons = [
        _season(_Writer(plan, start), schedule, layers)
        for start, layers in zip(begins, schedule.layers, strict=True)
    ]
    return Tariff.of(schedule.starts, seasons)


def _season(writer: _Writer, schedule: Schedule, slices: tuple[Layers, ...]) -> Season:
    """One season; slices with equal prices share their cards."""
    distinct: list[Layers] = []
    for layers in slices:
        if layers not in distinct:
            distinct.append(layers)
    if len(distinct) == 1:
        return Season((0,), (writer.bands(distinct[0], None),))
    made = [
        writer.bands(layers, hours_text(schedule.cuts, [other == layers for other in slices]))
        for layers in distinct
    ]
    return Season(schedule.cuts, tuple(made[distinct.index(layers)] for layers in slices), schedule.is_weekly)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the cards of one season."""

    plan: Plan
    start: datetime | None

    def bands(self, layers: Layers, hours: str | None) -> Bands:
        """The quotes of what holds, one for each size of prompt that it tells apart."""
        if layers.reason is not None and not layers.contracted:
            return Bands((), (Quote(None, {}, layers.reason),))
        starts = layers.band_starts()
        quotes: list[Quote] = []
        for position, floor in enumerate((0, *(start + 1 for start in starts))):
            band = price_band(self.plan, layers, floor)
            if isinstance(band, str):
                quotes.append(Quote(None, {}, band))
                continue
            text = _band_text(starts, position) if starts else None
            quotes.append(_quote(self._card(band, text, hours), band))
        return Bands(tuple(starts), tuple(quotes))

    def _card(self, band: PricedBand, context: str | None, hours: str | None) -> RateCard:
        plan, start = self.plan, self.start
        conditions = dict(plan.traits)
        if context:
            conditions["context_tokens"] = context
        if hours:
            conditions["hours"] = hours
        source = _source_of(plan, band)
        if plan.surcharge.region and band.has_listed_tokens():
            conditions["region"] = f"{plan.surcharge.region}: token prices × {plan.surcharge.factor}"
            source = f"{source} {plan.surcharge.source}".strip()
        elif plan.region and any(row.region for row in band.rows.values()):
            conditions["region"] = plan.region
        if start is not None and start.timestamp() % DAY_SECONDS:
            conditions["from"] = start.strftime("%Y-%m-%dT%H:%M:%SZ")
        return RateCard(
            provider=plan.offer.provider.id,
            model=plan.offer.model.id,
            rule=plan.offer.rule,
            currency=band.currency,
            rates=band.rates,
            conditions=conditions,
            valid_from=start.date() if start else None,
            source=source,
            book_version=plan.data.version,
            terms=band.terms or UNSET,
            list_rates=UNSET if band.list_rates is None else band.list_rates,
        ).sealed()


def _source_of(plan: Plan, band: PricedBand) -> str:
    """Where the prices of a card can be read: the links of their rows, else the provider's own page."""
    links = dict.fromkeys(row.link for row in band.rows.values() if row.link)
    return " ".join(links) or plan.offer.owner.entry.link


def _quote(card: RateCard, band: PricedBand) -> Quote:
    if "requests" in card.rates:  # one request is billed even where the units don't count any
        return Quote(card, {}, currency=card.currency, rows=band.rows)
    picos = _whole_picos(card.rates)
    names = [one.name for one in fields(TokenPrices)][1:]
    tokens = TokenPrices(card, *(picos[name] for name in names)) if picos.keys() >= set(names) else None
    return Quote(card, picos, None, tokens, card.currency, band.rows)


def _whole_picos(rates: dict[str, Rate]) -> dict[str, int]:
    """The rates that multiply without rounding."""
    return {
        unit: rate.numerator for unit, rate in rates.items() if rate.denominator == 1 and not rate.minimum
    }


def _band_text(starts: list[int], position: int) -> str:
    if position == 0:
        return f"up to {starts[0]}"
    if position == len(starts):
        return f"over {starts[-1]}"
    return f"over {starts[position - 1]}, up to {starts[position]}"
