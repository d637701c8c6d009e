"""Unpriced usage: which models have no known cost and why, and what it would cost under another name.

The groups come from raw rows, because a reason and the model that the answer named stand nowhere else.
`app/unpriced.py` shows them with the nearest known models.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from bursar.errors import Invalid, Reason
from bursar.identity.page import decode_cursor, encode_cursor
from bursar.money import format_picos
from bursar.pricing.rating import CostStatus, PricingSubject
from bursar.usage.query import Filter, FilterOp
from bursar.usage.query_answer import Amount
from bursar.usage.query_reader import read_scene
from bursar.usage.ratable_rows import windows_of
from bursar.usage.revising.ratable import RatesAgain
from bursar.usage.selection import Selection
from bursar.usage.unpriced_groups import GroupKey, GroupPlace, UnpricedGroup

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import tzinfo

    from bursar.pricing.books import TenantPrices
    from bursar.usage.asked import Asked
    from bursar.usage.query_reader import Asker
    from bursar.usage.ratable_rows import RatableRows
    from bursar.usage.store import UsageQuestions

GROUPS_DEFAULT, GROUPS_LIMIT = 20, 100
EVENTS_LIMIT = 200_000
"""Events that are rated under another name for one answer at most: a second or two."""
_ONLY_UNPRICED = Filter("cost_status", FilterOp.IN, (CostStatus.UNPRICED.value,))


@dataclass(frozen=True, slots=True)
class UnpricedAsk:
    """What is asked: which events, which part of the list, and what they are to be rated as."""

    selection: Selection
    limit: int
    after: GroupPlace | None
    rate_as: tuple[str | None, str] | None
    """Provider and model."""
    zone: tzinfo


@dataclass(slots=True)
class WouldCost:
    """What events would cost under another name."""

    priced: int = 0
    unpriced: int = 0
    picos: Counter[str] = field(default_factory=Counter[str])
    """By currency."""
    reasons: set[str] = field(default_factory=set[str])
    """Why some would still have no price."""

    def amounts(self) -> list[Amount]:
        """One amount per currency."""
        return [Amount(currency, format_picos(sum_)) for currency, sum_ in sorted(self.picos.items())]


def read_unpriced(asked: Asked, asker: Asker) -> UnpricedAsk:
    """The question of a query string; filters and window as everywhere, everything if no window is named.

    Raises:
        Invalid: with every reason.
    """
    limit, cursor = asked.number("limit", GROUPS_DEFAULT), asked.text("cursor")
    named = asked.text("as")
    if not 1 <= limit <= GROUPS_LIMIT:
        asked.refuse("limit", "out_of_range", f"limit lies between 1 and {GROUPS_LIMIT}.")
    after = asked.collect(lambda: _parse_place(cursor)) if cursor is not None else None
    rate_as = asked.collect(lambda: _read_name(named)) if named is not None else None
    scene = read_scene(asked, asker, "all")
    filters = (*scene.filters, _ONLY_UNPRICED)
    selection = asked.collect(lambda: Selection(scene.window, filters))
    asked.finish()
    return UnpricedAsk(selection or Selection(scene.window), limit, after, rate_as, scene.zone)


def format_place(group: UnpricedGroup) -> str:
    """An opaque text that a later question's `cursor` may be."""
    return encode_cursor(msgspec.json.encode(GroupPlace(group.events, group.key)))


def _parse_place(text: str) -> GroupPlace:
    try:
        return msgspec.json.decode(decode_cursor(text), type=GroupPlace)
    except (ValueError, msgspec.DecodeError):
        message = "cursor is the next_cursor of an earlier answer, unchanged."
        raise Invalid(message, reasons=(Reason("cursor", "bad_cursor", message),)) from None


def _read_name(text: str) -> tuple[str | None, str]:
    """Provider and model of `provider/model`; a bare model leaves the provider to the rules."""
    provider, slash, model = text.strip().partition("/")
    if not slash and provider:
        return None, provider
    if not provider or not model.strip():
        message = "as names a model, such as openai/gpt-4o."
        raise Invalid(message, reasons=(Reason("as", "invalid_value", message),))
    return provider, model.strip()


def rate_as(
    store: UsageQuestions, tenant_id: str, ask: UnpricedAsk, prices: TenantPrices
) -> dict[GroupKey, WouldCost]:
    """What the events of each group would cost as calls of the model that is asked about.

    Raises:
        Invalid: there are too many of them, or no model was named.
    """
    provider, model = ask.rate_as or (None, "")

    def respelled(subject: PricingSubject) -> PricingSubject:
        return msgspec.structs.replace(subject, provider=provider or subject.provider, model=model)

    again = RatesAgain(prices, lambda _card: None, respelled)
    found: defaultdict[GroupKey, WouldCost] = defaultdict(WouldCost)
    rows = _rows(store, tenant_id, ask.selection, prices.ruled)
    for one in chain.from_iterable(map(again.rate, rows)):
        common, rating = one.common, one.rating
        would = found[GroupKey(common.provider, common.response_model or common.model, common.cost_reason)]
        if rating.picos is None:
            would.unpriced += 1
            would.reasons.add(rating.reason or rating.status.value)
        else:
            would.priced += 1
            would.picos[rating.currency] += rating.picos
    return dict(found)


def _rows(
    store: UsageQuestions, tenant_id: str, selection: Selection, ruled: Collection[str | None]
) -> Iterator[RatableRows]:
    """The selected events, in windows of positions."""
    span = store.ratings.span(tenant_id, selection)
    done = 0
    for window in windows_of(span) if span is not None else ():
        rows = store.ratings.rows(tenant_id, selection, window, ruled)
        done += len(rows.seqs)
        if done > EVENTS_LIMIT:
            message = f"More than {EVENTS_LIMIT:,} events would have to be rated; choose a model or a window."
            raise Invalid(message, reasons=(Reason("as", "too_many_events", message),))
        yield rows
