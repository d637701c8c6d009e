"""The kept book over HTTP, below `/api/v1/prices`: updates, diff, sources, history, and the report on it.

Reading needs the scope `read`; whatever takes a file or changes the book is the operator's. Files come
as the body, bounded by `app/middleware.py`. The prices themselves are listed by `../api.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.concurrency import run_in_threadpool

from bursar import clock
from bursar.errors import Invalid, NotFound, Reason
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.permissions import Permission
from bursar.pricing.entries import PriceData
from bursar.pricing.keeping.api_answers import (
    SHOWN,
    BookCheckOut,
    BookFaultOut,
    DisagreementOut,
    KeptRowOut,
    PriceChangeOut,
    PriceDiffOut,
    PriceHistoryOut,
    PriceRemarkOut,
    PriceRowOut,
    PricesAtOut,
    PriceSourceOut,
    PriceSourcesOut,
    PriceUpdateOut,
    PriceUpdatesOut,
)
from bursar.pricing.keeping.book_data import data_of_kept
from bursar.pricing.keeping.disagreements import disagreements
from bursar.pricing.keeping.faults import faults_of
from bursar.pricing.keeping.genai_file import read_genai_file
from bursar.pricing.keeping.installed import installed_version, read_installed
from bursar.pricing.keeping.keeper import Author, PriceKeeper
from bursar.pricing.keeping.kept import PriceUpdate
from bursar.pricing.keeping.litellm import read_litellm
from bursar.pricing.keeping.source import GENAI, PriceSource, Remark
from bursar.pricing.keeping.told import ChangeKind, PriceChange
from bursar.pricing.keeping.update import Plan, Wish
from bursar.pricing.match import Offer, find_offer

PAGE_LIMIT = 500
PAGE_DEFAULT = 50
NOTE_LIMIT = 2_000


class SourceKind(StrEnum):
    """Where an update comes from."""

    INSTALLED = "installed"
    """The genai-prices package on the server; no body."""
    GENAI_PRICES = "genai-prices"
    """A data file of genai-prices (`data.json`, version 2) as the body."""
    LITELLM = "litellm"
    """LiteLLM's `model_prices_and_context_window.json` as the body; it only fills gaps."""


Kind = Annotated[SourceKind, Query(description="What the body is; `installed` has none.")]
Provider = Annotated[str, Query(max_length=128, description="Any spelling that ingest understands.")]
Model = Annotated[str, Query(max_length=256, description="As an event would name it.")]
_FILE: dict[str, Any] = {
    "requestBody": {
        "description": "The file, for the sources that are one.",
        "content": {"application/json": {"schema": {}}},
    }
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an update is asked to do."""

    source: Kind = SourceKind.INSTALLED
    valid_from: Annotated[
        datetime | None,
        Query(description="From when on changes count for which the source has no date; now if absent."),
    ] = None
    retire: Annotated[
        bool, Query(description="End the prices of models that the source no longer lists.")
    ] = False

    def wish(self, now: datetime) -> Wish:
        """How the source is to be taken."""
        return Wish(now if self.valid_from is None else _aware(self.valid_from), self.retire)


def make_router(
    keeper: PriceKeeper,
    caller: Callable[[Permission], Callable[..., Any]],
    now: Callable[[], datetime] = clock.now,
) -> APIRouter:
    """The endpoints; `caller(permission)` is a FastAPI dependency that gives the `Caller` or refuses it."""
    router = APIRouter(prefix="/api/v1/prices", tags=["prices"])
    reader, operator = Depends(caller(Permission.PRICES_READ)), Depends(caller(Permission.BOOK_WRITE))
    _add_updates(router, keeper, reader)
    _add_changing(router, keeper, operator, now)
    _add_looking(router, keeper, reader, now)
    _add_check(router, keeper, (reader, operator), now)
    return router


def _add_updates(router: APIRouter, keeper: PriceKeeper, reader: CallerDependency) -> None:
    @router.get("/updates", dependencies=[reader])
    def list_price_updates(
        cursor: Annotated[int | None, Query(ge=1, description="`next_cursor` before.")] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = PAGE_DEFAULT,
    ) -> PriceUpdatesOut:
        """Every update of the price book, the latest first."""
        found = keeper.store.updates(limit + 1, cursor)
        items = [PriceUpdateOut.of(one) for one in found[:limit]]
        more = len(found) > limit
        return PriceUpdatesOut(items=items, next_cursor=str(items[-1].number) if more else None)

    @router.get("/updates/{number}", dependencies=[reader])
    def get_price_update(number: Annotated[int, Path(ge=1, le=2**31 - 1)]) -> PriceUpdateOut:
        """One update of the price book."""
        found = keeper.store.updates(1, number + 1)
        if not found or found[0].number != number:
            message = f"There is no update {number} of the price book."
            raise NotFound(message)
        return PriceUpdateOut.of(found[0])

    @router.get("/sources", dependencies=[reader])
    def list_price_sources() -> PriceSourcesOut:
        """Every source of the price book, with its version and how much of the book is its."""
        items = [PriceSourceOut.of(one) for one in keeper.store.sources()]
        return PriceSourcesOut(items=items, installed_version=installed_version())


def _add_changing(
    router: APIRouter,
    keeper: PriceKeeper,
    operator: CallerDependency,
    now: Callable[[], datetime],
) -> None:
    @router.post("/updates", openapi_extra=_FILE)
    async def update_prices(
        request: Request,
        asked: Annotated[_Asked, Depends()],
        note: Annotated[str, Query(max_length=NOTE_LIMIT, description="Why; it stays with it.")] = "",
        caller: Caller = operator,
    ) -> PriceDiffOut:
        """Update the price book from a source.

        The past keeps its prices. The same source twice changes nothing.
        """
        content = await request.body()

        def work() -> PriceDiffOut:
            read = read_source(asked.source, content)
            before = data_of_kept(keeper.book)
            plan, update = keeper.update(read, asked.wish(now()), Author(caller.key_id, note))
            return _diff(plan, update, _compared(before, read, now()))

        return await run_in_threadpool(work)

    @router.post("/diff", openapi_extra=_FILE, dependencies=[operator])
    async def diff_prices(request: Request, asked: Annotated[_Asked, Depends()]) -> PriceDiffOut:
        """What an update would change; nothing is kept."""
        content = await request.body()

        def work() -> PriceDiffOut:
            read = read_source(asked.source, content)
            plan = keeper.preview(read, asked.wish(now()))
            return _diff(plan, None, _compared(data_of_kept(keeper.book), read, now()))

        return await run_in_threadpool(work)


def _add_looking(
    router: APIRouter,
    keeper: PriceKeeper,
    reader: CallerDependency,
    now: Callable[[], datetime],
) -> None:
    @router.get("/show", dependencies=[reader])
    def show_prices(
        provider: Provider,
        model: Model,
        at: Annotated[datetime | None, Query(description="The moment; now if absent.")] = None,
        known_at: Annotated[
            datetime | None, Query(description="As far as the book knew then; now if absent.")
        ] = None,
    ) -> PricesAtOut:
        """The rows of a model that hold at a moment, as known now or as known at an earlier time."""
        known = None if known_at is None else _aware(known_at)
        data = data_of_kept(keeper.book if known is None else keeper.store.load(known))
        offer = _offer_of(data, provider, model)
        moment = now() if at is None else _aware(at)
        rows = [row for row in data.rows.get((offer.owner.id, offer.model.id), ()) if row.holds_at(moment)]
        return PricesAtOut(
            **_named(data, offer), at=moment, known_at=known, rows=[PriceRowOut.of(row) for row in rows]
        )

    @router.get("/history", dependencies=[reader])
    def list_price_history(provider: Provider, model: Model) -> PriceHistoryOut:
        """Every row that a model ever had: when it holds, who said so and when, what ended it."""
        data = data_of_kept(keeper.book)
        offer = _offer_of(data, provider, model)
        rows = keeper.store.history(offer.owner.id, offer.model.id)
        return PriceHistoryOut(**_named(data, offer), rows=[KeptRowOut.of_kept(one) for one in rows])


def _add_check(
    router: APIRouter, keeper: PriceKeeper, callers: tuple[Any, Any], now: Callable[[], datetime]
) -> None:
    reader, operator = callers

    @router.get("/report", dependencies=[reader])
    def report_on_book() -> BookCheckOut:
        """What is odd in the price book: models without prices, prices that have ended, rows that overlap."""
        return _checked(keeper, None, now())

    @router.post("/compare", openapi_extra=_FILE, dependencies=[operator])
    async def compare_prices(request: Request, source: Kind = SourceKind.LITELLM) -> BookCheckOut:
        """The same, and where a source disagrees with the book, by how much."""
        content = await request.body()
        return await run_in_threadpool(lambda: _checked(keeper, read_source(source, content), now()))


def read_source(kind: SourceKind, content: bytes) -> PriceSource:
    """The source that a request means.

    Raises:
        Malformed, Invalid: the file is none of its kind; a source without a file got one, or the reverse.
    """
    if (kind is SourceKind.INSTALLED) == bool(content):
        message = (
            "must have a file as its body" if not content else "takes no file; say which source the file is"
        )
        raise Invalid(reasons=(Reason("source", "wrong_body", f"the source '{kind}' {message}"),))
    if kind is SourceKind.INSTALLED:
        return read_installed()
    return read_genai_file(content) if kind is SourceKind.GENAI_PRICES else read_litellm(content)


def _diff(plan: Plan, update: PriceUpdate | None, compared: list[DisagreementOut]) -> PriceDiffOut:
    return PriceDiffOut(
        source=plan.source.name,
        version=plan.source.version,
        content_hash=plan.source.content_hash,
        valid_from=plan.valid_from,
        counts={**plan.counts(), "disagreements": len(compared)},
        changes=[PriceChangeOut.of(one) for one in sorted(plan.changes(), key=_by_weight)[:SHOWN]],
        vanished=["/".join(place) for place in plan.vanished],
        disagreements=compared[:SHOWN],
        remarks=_remarks(plan.source.remarks),
        update=None if update is None else PriceUpdateOut.of(update),
    )


def _by_weight(change: PriceChange) -> tuple[bool, bool, str, str]:
    """What changed before what ended before what is new, then by provider and model."""
    return (
        change.kind is ChangeKind.NEW,
        change.kind is ChangeKind.ENDED,
        change.provider,
        change.model,
    )


def _compared(data: PriceData, source: PriceSource, moment: datetime) -> list[DisagreementOut]:
    """Where a source that only fills gaps disagrees; the others are taken as they are."""
    if source.name == GENAI:
        return []
    return [DisagreementOut.of(one) for one in disagreements(data, source, moment)]


def _checked(keeper: PriceKeeper, source: PriceSource | None, moment: datetime) -> BookCheckOut:
    data = data_of_kept(keeper.book)
    found = [] if source is None else disagreements(data, source, moment)
    known = 0
    if source is not None:
        offers = (find_offer(data, entry.provider, entry.id) for entry in source.entries)
        known = sum(1 for offer in offers if not isinstance(offer, str))
    return BookCheckOut(
        book_version=data.version,
        faults=[BookFaultOut.of(one) for one in faults_of(data, moment)],
        compared_with=None if source is None else f"{source.name} {source.version}",
        disagreements=[DisagreementOut.of(one) for one in found[:SHOWN]],
        disagreement_count=len(found),
        compared_models=known,
        remarks=[] if source is None else _remarks(source.remarks),
    )


def _remarks(remarks: tuple[Remark, ...]) -> list[PriceRemarkOut]:
    return [
        PriceRemarkOut(what=one.what, why=one.why, count=one.count, example=one.example) for one in remarks
    ]


def _offer_of(data: PriceData, provider: str, model: str) -> Offer:
    offer = find_offer(data, provider, model)
    if isinstance(offer, str):
        message = f"{offer}: the price book has no {model!r} of {provider!r}."
        raise NotFound(message)
    return offer


def _named(data: PriceData, offer: Offer) -> dict[str, str]:
    return {
        "provider": offer.owner.id,
        "model": offer.model.id,
        "rule": offer.rule,
        "book_version": data.version,
    }


def _aware(moment: datetime) -> datetime:
    """A moment that was given, in UTC; one without a zone is UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
