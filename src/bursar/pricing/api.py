"""The price book over HTTP, read-only: `/api/v1/prices` and `/api/v1/prices/{provider}/{model}`.

Rating a usage body without storing it (`POST /api/v1/prices/check`) needs the ingest translators and
is served beside them, from `explain.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict

from bursar import clock
from bursar.described import describe_fields
from bursar.errors import Invalid, NotFound, Reason
from bursar.identity.page import decode_cursor, encode_cursor
from bursar.identity.permissions import Permission
from bursar.pricing.book import PriceBook, TariffKey
from bursar.pricing.card import QUOTED_PER, RateCard
from bursar.pricing.match import Offer, find_offer, provider_id
from bursar.pricing.tiers import traits_of
from bursar.units import scale_of

PAGE_LIMIT = 200
PAGE_DEFAULT = 50

ProviderName = Annotated[str, Path(max_length=128, description="Any spelling that ingest understands.")]
ModelName = Annotated[str, Path(max_length=256, description="As an event would name it.")]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, json_schema_extra=describe_fields)


class RateOut(_Answer):
    """What so many of a unit cost."""

    price: str
    """Decimal string in the card's currency."""
    per: int
    """1,000,000 for tokens and characters, 3,600 for seconds, 1,000 for searches, pages and requests."""


class RateCardOut(_Answer):
    """The rates of a model under some conditions."""

    id: str
    """The same id that priced events name, when they were matched by the same rule."""
    rule: str
    currency: str
    rates: dict[str, RateOut]
    conditions: dict[str, str]
    valid_from: date | None
    source: str
    book_version: str

    @classmethod
    def of(cls, card: RateCard) -> RateCardOut:
        """The card as the answer shows it."""
        rates = {
            unit: RateOut(price=rate.price_per(per, scale_of(unit)), per=per)
            for unit, rate in card.rates.items()
            for per, _ in [QUOTED_PER.get(unit, (1, unit))]
        }
        return cls(
            id=card.id,
            rule=card.rule,
            currency=card.currency,
            rates=rates,
            conditions=card.conditions,
            valid_from=card.valid_from,
            source=card.source,
            book_version=card.book_version,
        )


class ModelPriceOut(_Answer):
    """A model and what a standard call with a short prompt costs now."""

    provider: str
    model: str
    name: str
    card: RateCardOut | None
    """None where the book has no price; `reason` says why."""
    reason: str | None


class PriceListOut(_Answer):
    """One page of the price book."""

    items: list[ModelPriceOut]
    next_cursor: str | None
    book_version: str


class ModelTariffOut(_Answer):
    """All rate cards of a model for one way of calling it, the earliest first."""

    provider: str
    model: str
    name: str
    cards: list[RateCardOut]
    reasons: list[str]
    """Why there is no card for some or all times."""
    variants: list[dict[str, str]]
    """Other ways of calling it that have prices of their own."""


@dataclass(frozen=True, slots=True)
class _Way:
    """How a call is made, where that changes its price."""

    service_tier: Annotated[str | None, Query(max_length=128)] = None
    batch: bool = False
    speed: Annotated[str | None, Query(max_length=128)] = None
    region: Annotated[str | None, Query(max_length=128)] = None

    def key(self) -> tuple[str | None, bool, str | None, str | None]:
        """Its part of a tariff's key."""
        return self.service_tier, self.batch, self.speed, self.region


def make_router(
    book: Callable[[], PriceBook],
    caller: Callable[[Permission], Callable[..., Any]],
    now: Callable[[], datetime] = clock.now,
) -> APIRouter:
    """The endpoints over the book, which is asked for when it is first needed.

    `caller(scope)` answers a FastAPI dependency that gives the `Caller` or refuses it.
    """
    router = APIRouter(
        prefix="/api/v1/prices", tags=["prices"], dependencies=[Depends(caller(Permission.PRICES_READ))]
    )
    _add_list(router, book, now)
    _add_model(router, book)
    return router


def _add_list(router: APIRouter, book: Callable[[], PriceBook], now: Callable[[], datetime]) -> None:
    @router.get("")
    def list_prices(
        provider: Annotated[str | None, Query(max_length=128, description="Any spelling of it.")] = None,
        model: Annotated[str | None, Query(max_length=256, description="How the model's id begins.")] = None,
        cursor: Annotated[str | None, Query(max_length=600, description="`next_cursor` before.")] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = PAGE_DEFAULT,
    ) -> PriceListOut:
        """What standard calls cost now, by provider and model."""
        prices, moment = book(), now()
        page = list(islice(_offers(prices, provider, model, cursor), limit + 1))
        return PriceListOut(
            items=[_price_now(prices, offer, moment) for offer in page[:limit]],
            next_cursor=_write_cursor(page[limit - 1]) if len(page) > limit else None,
            book_version=prices.version,
        )


def _add_model(router: APIRouter, book: Callable[[], PriceBook]) -> None:
    @router.get("/{provider}/{model:path}")
    def get_prices(
        provider: ProviderName, model: ModelName, way: Annotated[_Way, Depends()]
    ) -> ModelTariffOut:
        """Every price of a model that the book knows, past and announced ones included."""
        prices = book()
        offer = find_offer(prices.data, provider, model)
        if isinstance(offer, str):
            message = f"{offer}: the price book has no {model!r} of {provider!r}."
            raise NotFound(message)
        return _tariff_out(prices, offer, (provider, model, *way.key()))


def _offers(book: PriceBook, provider: str | None, prefix: str | None, cursor: str | None) -> Iterator[Offer]:
    """The entries asked for, behind the cursor."""
    known = provider_id(book.data, provider.strip().lower()) if provider else None
    if provider and known is None:
        return
    after = _read_cursor(cursor) if cursor else ("", "")
    begins = (prefix or "").lower()
    for offer in book.offers(known):
        place = (offer.provider.id, offer.model.id)
        if place > after and offer.model.id.lower().startswith(begins):
            yield offer


def _price_now(book: PriceBook, offer: Offer, moment: datetime) -> ModelPriceOut:
    quote = book.standard_tariff(offer).bands_at(moment).quotes[0]
    return ModelPriceOut(
        provider=offer.provider.id,
        model=offer.model.id,
        name=offer.model.name,
        card=RateCardOut.of(quote.card) if quote.card else None,
        reason=quote.reason,
    )


def _tariff_out(book: PriceBook, offer: Offer, key: TariffKey) -> ModelTariffOut:
    quotes = list(book.tariff(key).quotes())
    return ModelTariffOut(
        provider=offer.provider.id,
        model=offer.model.id,
        name=offer.model.name,
        cards=[RateCardOut.of(quote.card) for quote in quotes if quote.card],
        reasons=sorted({quote.reason for quote in quotes if quote.reason}),
        variants=[traits_of(way) for way in book.ways(offer)],
    )


def _write_cursor(offer: Offer) -> str:
    return encode_cursor(msgspec.json.encode((offer.provider.id, offer.model.id)))


def _read_cursor(cursor: str) -> tuple[str, str]:
    try:
        return msgspec.json.decode(decode_cursor(cursor), type=tuple[str, str])
    except (ValueError, msgspec.MsgspecError):
        message = "must be the 'next_cursor' of an earlier answer to the same list"
        raise Invalid(reasons=(Reason("cursor", "invalid_cursor", message),)) from None
