"""The tariff: all rate cards of one model for one way of calling it, over all times and prompt sizes.

Which price list holds is decided in one place (`prices_at`), for one moment. A tariff asks that for
every moment at which the answer can change, once, so that rating an event only looks up the card
for its time and prompt size. Three things choose among the cards: the date (seasons), the hour
(slices of the UTC day) and the size of the prompt (bands).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from bursar.pricing.card import Rate, RateCard
from bursar.pricing.prices import DAY_SECONDS
from bursar.pricing.tiers import name_of_traits
from bursar.pricing.unit_prices import rate_units

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bursar.pricing.match import Offer
    from bursar.pricing.prices import Condition, PriceData, PricedModel, PriceList
    from bursar.pricing.tiers import Surcharge, Traits

CURRENCY = "USD"
"""The currency of every price in the book."""


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """A rate card's picos per token for the units that token totals are made of."""

    card: RateCard
    input_text: int
    cache_read_text: int
    cache_write_5m: int
    output_text: int
    output_reasoning: int


@dataclass(frozen=True, slots=True)
class Quote:
    """A rate card ready for rating, or the reason why there is none."""

    card: RateCard | None
    picos: dict[str, int]
    """Unit to picos per step, for rates that multiply without rounding; empty where a bill needs care."""
    reason: str | None = None
    tokens: TokenPrices | None = None
    """The same for token totals, where `picos` has them all."""


@dataclass(frozen=True, slots=True)
class Bands:
    """Quotes by prompt size: a prompt of more than `starts[i]` tokens has at least `quotes[i + 1]`."""

    starts: tuple[int, ...]
    quotes: tuple[Quote, ...]

    def quote_for(self, context_tokens: int) -> Quote:
        """The quote for a prompt of this size."""
        return self.quotes[bisect_left(self.starts, context_tokens)]


@dataclass(frozen=True, slots=True)
class Season:
    """A time with unchanging prices, but for the hours of the day and the size of the prompt."""

    cuts: tuple[int, ...]
    """Seconds of the UTC day at which the slices begin; the first is 0."""
    slices: tuple[Bands, ...]


@dataclass(frozen=True, slots=True)
class Tariff:
    """All quotes for one model and one way of calling it."""

    starts: tuple[datetime, ...]
    """When the second and later seasons begin; the first began before any price known."""
    seasons: tuple[Season, ...]
    single: Quote | None
    """The one quote, where there is only one."""

    def quote_at(self, moment: datetime, context_tokens: int) -> Quote:
        """The quote for a call at this aware moment with a prompt of this size."""
        bands = self.bands_at(moment)
        return bands.quote_for(context_tokens) if bands.starts else bands.quotes[0]

    def bands_at(self, moment: datetime) -> Bands:
        """The quotes for a call at this aware moment, by the size of its prompt."""
        season = self.seasons[bisect_right(self.starts, moment) if self.starts else 0]
        if len(season.slices) == 1:
            return season.slices[0]
        utc = moment.astimezone(UTC)
        second = utc.hour * 3600 + utc.minute * 60 + utc.second
        return season.slices[bisect_right(season.cuts, second) - 1]

    def quotes(self) -> Iterator[Quote]:
        """Every quote, from the earliest season to the latest, each once."""
        seen: list[Quote] = []
        for season in self.seasons:
            for bands in season.slices:
                for quote in bands.quotes:
                    if not any(quote is other for other in seen):
                        seen.append(quote)
                        yield quote


def tariff_without_prices(reason: str) -> Tariff:
    """A tariff that answers every call with the same reason."""
    quote = Quote(None, {}, reason)
    return Tariff((), (Season((0,), (Bands((), (quote,)),)),), quote)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a tariff is made for: the offer, the way of calling, and the region's surcharge."""

    offer: Offer
    traits: Traits
    surcharge: Surcharge


def prices_at(model: PricedModel, traits: Traits, moment: datetime) -> PriceList | str:
    """The price list for a call at a moment, or the reason why none is known.

    Of the dated lists the last that holds counts, and the first where none does. A call that is not
    a standard one needs a variant that names just its traits; the variants that hold override the
    prices they name, the earlier ones first. Where the book has a variant that doesn't hold yet,
    what such calls cost before is not known.

    Reasons: `no_price_for_model`, `tier_not_priced:…`, `tier_not_priced_at_this_time:…`.
    """
    holding = [dated.prices for dated in model.dated if dated.condition.is_met(moment)]
    prices = holding[-1] if holding else model.dated[0].prices
    if not prices and not model.is_free:
        return "no_price_for_model"
    if not traits:
        return prices
    variants = [variant for variant in model.variants if variant.when == traits]
    if not variants:
        return f"tier_not_priced:{name_of_traits(traits)}"
    active = [variant.prices for variant in variants if variant.condition.is_met(moment)]
    if not active:
        return f"tier_not_priced_at_this_time:{name_of_traits(traits)}"
    merged = dict(prices)
    for overrides in reversed(active):
        merged.update(overrides)
    return merged


def build_tariff(data: PriceData, terms: Terms) -> Tariff:
    """All rate cards for an offer, for calls with these traits."""
    conditions = _conditions_of(terms.offer.model, terms.traits)
    days = sorted({condition.starts for condition in conditions if condition.starts is not None})
    hours = [condition.daily for condition in conditions if condition.daily is not None]
    cuts = tuple(sorted({0, *(second % DAY_SECONDS for window in hours for second in window)}))
    starts: list[datetime] = []
    seasons: list[Season] = []
    latest: list[PriceList | str] | None = None
    for day in (None, *days):
        start = _midnight(day or date.min)
        outcomes = [
            prices_at(terms.offer.model, terms.traits, start + timedelta(seconds=cut)) for cut in cuts
        ]
        if outcomes == latest:
            continue
        latest = outcomes
        seasons.append(_season(data, terms, cuts, outcomes, day))
        if day is not None:
            starts.append(start)
    quotes = [quote for season in seasons for bands in season.slices for quote in bands.quotes]
    return Tariff(tuple(starts), tuple(seasons), quotes[0] if len(quotes) == 1 else None)


def _conditions_of(model: PricedModel, traits: Traits) -> list[Condition]:
    dated = [entry.condition for entry in model.dated]
    return dated + [variant.condition for variant in model.variants if variant.when == traits]


def _season(
    data: PriceData, terms: Terms, cuts: Sequence[int], outcomes: list[PriceList | str], day: date | None
) -> Season:
    """One season; slices of the day with equal prices share their cards."""
    distinct: list[PriceList | str] = []
    for outcome in outcomes:
        if outcome not in distinct:
            distinct.append(outcome)
    if len(distinct) == 1:
        return Season((0,), (_bands(data, terms, distinct[0], day, None),))
    made = [
        _bands(data, terms, outcome, day, _hours_text(cuts, [other == outcome for other in outcomes]))
        for outcome in distinct
    ]
    return Season(tuple(cuts), tuple(made[distinct.index(outcome)] for outcome in outcomes))


def _bands(
    data: PriceData, terms: Terms, outcome: PriceList | str, day: date | None, hours: str | None
) -> Bands:
    """The quotes of one price list, one for each size of prompt that it tells apart."""
    if isinstance(outcome, str):
        return Bands((), (Quote(None, {}, outcome),))
    starts = sorted({start for price in outcome.values() for start, _ in price.tiers})
    quotes: list[Quote] = []
    for position, floor in enumerate((0, *(start + 1 for start in starts))):
        rates = rate_units(
            terms.offer.model,
            outcome,
            data.keys,
            context_tokens=floor,
            token_factor=terms.surcharge.factor,
        )
        conditions = dict(terms.traits)
        if starts:
            conditions["context_tokens"] = _band_text(starts, position)
        if hours:
            conditions["hours"] = hours
        if terms.surcharge.region:
            conditions["region"] = f"{terms.surcharge.region}: token prices × {terms.surcharge.factor}"
        quotes.append(_quote(data, terms, rates, conditions, day))
    return Bands(tuple(starts), tuple(quotes))


def _quote(
    data: PriceData, terms: Terms, rates: dict[str, Rate], conditions: dict[str, str], day: date | None
) -> Quote:
    offer = terms.offer
    card = RateCard(
        provider=offer.provider.id,
        model=offer.model.id,
        rule=offer.rule,
        currency=CURRENCY,
        rates=rates,
        conditions=conditions,
        valid_from=day,
        source=f"{offer.owner.source} {terms.surcharge.source}".strip(),
        book_version=data.version,
    ).sealed()
    if "requests" in rates:  # one request is billed even where the units don't count any
        return Quote(card, {})
    picos = {
        unit: rate.numerator for unit, rate in rates.items() if rate.denominator == 1 and not rate.minimum
    }
    names = [one.name for one in fields(TokenPrices)][1:]
    tokens = TokenPrices(card, *(picos[name] for name in names)) if picos.keys() >= set(names) else None
    return Quote(card, picos, None, tokens)


def _band_text(starts: list[int], position: int) -> str:
    if position == 0:
        return f"up to {starts[0]}"
    if position == len(starts):
        return f"over {starts[-1]}"
    return f"over {starts[position - 1]}, up to {starts[position]}"


def _hours_text(cuts: Sequence[int], chosen: list[bool]) -> str:
    """The chosen slices of the day in words: `00:30-16:30 UTC`."""
    ends = (*cuts[1:], DAY_SECONDS)
    windows = [
        f"{_clock_text(start)}-{_clock_text(end)}"
        for start, end, is_chosen in zip(cuts, ends, chosen, strict=True)
        if is_chosen
    ]
    return f"{', '.join(windows)} UTC"


def _clock_text(second: int) -> str:
    return f"{second // 3600:02d}:{second // 60 % 60:02d}"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
