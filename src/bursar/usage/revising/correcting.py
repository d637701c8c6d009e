"""Corrections: an event as it should have been, under the same id, checked and rated like any other.

A correction says the whole event; what it doesn't say is absent from then on, but for the time, which
stays. The old version goes to the history. A correction of an event that doesn't count (any more) is
refused, because it would make one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from bursar.errors import Reason
from bursar.usage.bodies import Items, Refused
from bursar.usage.changes import CORRECTION, CorrectionRecord
from bursar.usage.intake import CostAnswer, Rejection
from bursar.usage.record import UsageRecord, encode_record

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from bursar.usage.bodies import Item
    from bursar.usage.ingest import Prepared
    from bursar.usage.revising.author import Author
    from bursar.usage.selection import CurrentEvent

NO_SUCH_EVENT = "no_such_event"
_decode_usage = msgspec.json.Decoder(UsageRecord).decode


@dataclass(frozen=True, slots=True)
class Corrected:
    """One event before and after."""

    event_id: str
    old_cost: CostAnswer
    new_cost: CostAnswer


@dataclass(frozen=True, slots=True)
class Corrections:
    """What is to be written, and what was refused."""

    records: list[CorrectionRecord]
    corrected: list[Corrected]
    """One for each record."""
    rejections: list[Rejection]


def ids_in(items: Sequence[Item]) -> list[str]:
    """The ids of the events of a body, as far as they say one."""
    return [item.event_id for item in items if not isinstance(item, Refused) and item.event_id is not None]


def name_event(items: Sequence[Item], event_id: str) -> list[Item]:
    """The items with the id that the path names; one with another id is refused."""
    return [_named(item, event_id) for item in items]


def fit_to_current(items: Sequence[Item], current: Mapping[str, CurrentEvent]) -> Items:
    """The items that can be corrections of current events; others are refused with the reason."""
    fitting = [_fitted(item, current) for item in items]
    return Items(len(fitting), single=len(fitting) == 1, slices=iter([fitting]))


def make_corrections(
    prepared: Prepared, current: Mapping[str, CurrentEvent], author: Author, now: datetime
) -> Corrections:
    """The records for the journal, with the costs before and after."""
    head = author.head(CORRECTION, now)
    records: list[CorrectionRecord] = []
    corrected: list[Corrected] = []
    for usage, answer in zip(prepared.records, prepared.answers, strict=True):
        records.append(
            CorrectionRecord(**head, event_id=answer.event_id, usage=_decode_usage(encode_record(usage)))
        )
        corrected.append(
            Corrected(answer.event_id, cost_answer(current[answer.event_id]), answer.cost),
        )
    return Corrections(records, corrected, prepared.rejections)


def cost_answer(event: CurrentEvent) -> CostAnswer:
    """The cost of a stored event as answers of the door say it."""
    cost = event.cost
    return CostAnswer(cost.status, cost.currency, cost.total, cost.reason)


def lost_ids(corrections: Corrections, current: Mapping[str, CurrentEvent], last_seq: int) -> Collection[str]:
    """Events that were taken out by somebody else between the look at them and the correction.

    Args:
        corrections: what was written.
        current: the events as they stand once everything up to `last_seq` is applied.
        last_seq: position of the last correction.
    """
    first_seq = last_seq - len(corrections.records) + 1
    return {
        one.event_id
        for one in corrections.corrected
        if one.event_id not in current or current[one.event_id].version < first_seq
    }


def _named(item: Item, event_id: str) -> Item:
    if isinstance(item, Refused):
        return item
    if item.event_id not in {None, event_id}:
        text = "A correction keeps the event's id; leave event_id out, or say the one in the path."
        return Refused((Reason("event_id", "other_event", text),), item.event_id)
    item.event_id = event_id
    return item


def _fitted(item: Item, current: Mapping[str, CurrentEvent]) -> Item:
    if isinstance(item, Refused):
        return item
    if item.event_id is None:
        return Refused((Reason("event_id", "required", "A correction names its event."),))
    known = current.get(item.event_id)
    if known is None:
        text = "There is no event of this id that counts; send a new one to POST /api/v1/events."
        return Refused((Reason("event_id", NO_SUCH_EVENT, text),), item.event_id)
    if item.time is None:
        item.time = known.time
    return item
