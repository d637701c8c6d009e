"""`GET /api/v1/unpriced`: models without a price, since when, how much, and what would give them one.

Nearest known models are hints; `as=provider/model` says what an alias to that model would make of the
events, exactly and without changing anything. `POST /api/v1/reprice` rates them once there is a price.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar

from fastapi import APIRouter, Depends, Request

from bursar import clock
from bursar.app.auth import require
from bursar.described import DESCRIBED
from bursar.identity.caller import Caller
from bursar.identity.permissions import Permission
from bursar.pricing.nearest import KnownModels, NearModel
from bursar.units import format_steps
from bursar.usage import parameter_docs
from bursar.usage.api import query_parameters
from bursar.usage.asked import Asked
from bursar.usage.query_answer import Amount, WindowShown, show_window
from bursar.usage.query_reader import Asker
from bursar.usage.sight import sight_of
from bursar.usage.unpriced import WouldCost, format_place, rate_as, read_unpriced

if TYPE_CHECKING:
    from bursar.app.platform import Platform
    from bursar.pricing.book import PriceBook
    from bursar.usage.store import UsageQuestions
    from bursar.usage.unpriced import UnpricedAsk
    from bursar.usage.unpriced_groups import UnpricedGroup


@dataclass(frozen=True, slots=True)
class WouldBe:
    """What events would cost as calls of another model."""

    __pydantic_config__: ClassVar = DESCRIBED

    provider: str | None
    model: str
    priced_events: int
    unpriced_events: int
    """Those that would still have no price, for these `reasons`."""
    reasons: list[str]
    cost: list[Amount]
    """One amount per currency."""


@dataclass(frozen=True, slots=True)
class UnpricedModel:
    """Events of one model that have no known cost, for one reason."""

    __pydantic_config__: ClassVar = DESCRIBED

    provider: str | None
    """As the events name it."""
    model: str | None
    """The one that the answer named, else the one that was asked for."""
    reason: str | None
    events: int
    first_seen: datetime
    last_seen: datetime
    units: dict[str, str]
    """Sums of what was used, as decimal strings."""
    nearest: list[NearModel]
    """Known models with names like it; of the same provider first."""
    would_be: WouldBe | None
    """Null without `as`."""


@dataclass(frozen=True, slots=True)
class UnpricedAnswer:
    """A page of models without a price, those with the most events first."""

    __pydantic_config__: ClassVar = DESCRIBED

    items: list[UnpricedModel]
    next_cursor: str | None
    window: WindowShown
    prices: str
    """The version of the price book."""


_SPENDER = require(Permission.COST_READ, in_projects=True)


def make_router(platform: Platform) -> APIRouter:
    """`GET /api/v1/unpriced`."""
    router = APIRouter(prefix="/api/v1", tags=["prices"])
    models = _Models()

    def answer(store: UsageQuestions, tenant_id: str, ask: UnpricedAsk) -> UnpricedAnswer:
        book = platform.books.book
        groups = store.ratings.unpriced(tenant_id, ask.selection, ask.after, ask.limit + 1)
        would = {} if ask.rate_as is None else rate_as(store, tenant_id, ask, platform.books.of(tenant_id))
        known = models.of(book)
        return UnpricedAnswer(
            [_show(group, known, _would_be(ask, would.get(group.key))) for group in groups[: ask.limit]],
            format_place(groups[ask.limit - 1]) if len(groups) > ask.limit else None,
            show_window(ask.selection.window, ask.zone),
            book.version,
        )

    @router.get("/unpriced", openapi_extra=parameter_docs.UNPRICED)
    async def list_unpriced(request: Request, caller: Annotated[Caller, Depends(_SPENDER)]) -> UnpricedAnswer:
        """Models whose usage has no known cost, why, since when, and what it would be under another name."""
        asked = Asked(query_parameters(request))
        tenant_id = caller.tenant_for(asked.text("tenant_id"))
        ask = read_unpriced(
            asked, Asker(tenant_id, caller.zone, clock.now(), sight=sight_of(caller, Permission.COST_READ))
        )
        return await platform.questions.ask(lambda store: answer(store, tenant_id, ask))

    return router


class _Models:
    """The models of the book of the day, made ready for searching when somebody asks."""

    def __init__(self) -> None:
        self._known: tuple[PriceBook, KnownModels] | None = None

    def of(self, book: PriceBook) -> KnownModels:
        """Those of this book."""
        known = self._known
        if known is None or known[0] is not book:
            known = self._known = (book, KnownModels(book))
        return known[1]


def _show(group: UnpricedGroup, known: KnownModels, would_be: WouldBe | None) -> UnpricedModel:
    key = group.key
    return UnpricedModel(
        key.provider,
        key.model,
        key.reason,
        group.events,
        group.first,
        group.last,
        {name: format_steps(name, steps) for name, steps in group.units.items()},
        list(known.nearest(key.provider, key.model)),
        would_be,
    )


def _would_be(ask: UnpricedAsk, would: WouldCost | None) -> WouldBe | None:
    if ask.rate_as is None or would is None:
        return None
    provider, model = ask.rate_as
    reasons = sorted(would.reasons)
    return WouldBe(provider, model, would.priced, would.unpriced, reasons, would.amounts())
