"""What each tenant agreed on and chose about prices, put together: kept, in force, and ready to be asked.

`build.py` opens it, `http.py` serves it. It also answers how much recorded usage falls under something
that was agreed on, which neither prices nor usage can say alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar import clock
from bursar.errors import Unavailable
from bursar.pricing.agreements.api import AgreementDesk
from bursar.pricing.agreements.in_force import AgreementsInForce
from bursar.pricing.agreements.left_out import LeftOut, units_left_out
from bursar.pricing.agreements.override import AliasSaid, Override
from bursar.pricing.exchange.reporting import Reporting
from bursar.pricing.match import find_offer, plain_provider
from bursar.pricing.terms import fits_pattern
from bursar.storage.relational.agreements import RelationalAgreements
from bursar.storage.relational.exchange_rates import RelationalExchangeRates
from bursar.usage.query import ROWS_LIMIT, Filter, FilterOp, UsageQuery
from bursar.window import Window

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.pricing.agreements.api import Said
    from bursar.pricing.book import PriceBook
    from bursar.pricing.books import PriceBooks
    from bursar.storage.relational.engine import StateEngine
    from bursar.usage.query_answer import Row
    from bursar.usage.store import AsksQuestions


@dataclass(frozen=True, slots=True)
class TenantPricing:
    """Everything about the prices of single tenants."""

    agreements: RelationalAgreements
    in_force: AgreementsInForce
    exchange_rates: RelationalExchangeRates
    reporting: Reporting


def open_tenant_pricing(engine: StateEngine, books: PriceBooks) -> TenantPricing:
    """Let the books know what tenants agreed on, from the state store.

    Raises:
        Unavailable: the store doesn't answer.
    """
    agreements, rates = RelationalAgreements(engine), RelationalExchangeRates(engine)
    return TenantPricing(
        agreements,
        AgreementsInForce(agreements, books),
        rates,
        Reporting(rates, lambda tenant_id: books.of(tenant_id).choices),
    )


def make_desk(pricing: TenantPricing, books: PriceBooks, questions: AsksQuestions) -> AgreementDesk:
    """What the endpoints of agreements work with."""

    async def count_recorded(tenant_id: str, said: Said) -> int | None:
        now = clock.now()
        query = _query_of(said, now)
        if query is None:
            return 0
        try:
            found = await questions.ask(lambda store: store.rows(tenant_id, query))
        except Unavailable:
            # What was agreed on is kept all the same.
            return None
        if found.has_more:
            return None
        book = books.book
        return sum(int(str(row["events"])) for row in found.rows if _falls_under(said, row, book))

    def left_out(tenant_id: str, said: Override, now: datetime) -> list[LeftOut]:
        return units_left_out(said, books.book, books.of(tenant_id).book_for(said.project_id), now)

    return AgreementDesk(
        pricing.agreements,
        pricing.in_force.changed,
        lambda tenant_id: books.of(tenant_id).choices,
        count_recorded,
        left_out,
    )


def _query_of(said: Said, now: datetime) -> UsageQuery | None:
    # Windows begin in 1970; an agreement may be older.
    start = max(said.valid_from or clock.EPOCH, clock.EPOCH)
    end = now if said.valid_to is None else min(said.valid_to, now)
    if start >= end:
        return None
    projects = () if said.project_id is None else (Filter("project_id", FilterOp.IN, (said.project_id,)),)
    return UsageQuery(Window(start, end), ("events",), ("provider", "model"), projects, limit=ROWS_LIMIT)


def _falls_under(said: Said, row: Row, book: PriceBook) -> bool:
    """Whether usage of the row's provider and model is what was agreed on."""
    provider, model = _text(row["provider"]), (_text(row["model"]) or "").lower()
    if isinstance(said, AliasSaid):
        is_meant = said.provider is None or plain_provider(said.provider) == plain_provider(provider or "")
        return is_meant and model == said.alias.strip().lower()
    offer = find_offer(book.data, provider, model)
    if isinstance(offer, str):
        seller, names = plain_provider(provider or ""), (model,)
    else:
        seller, names = offer.provider.id, (model, offer.model.id.lower())
    if said.provider is not None and plain_provider(said.provider) != seller:
        return False
    return fits_pattern(said.model, *names)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
