"""What quotas need to know of records that are about to be journaled, and taking some of them out again."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from bursar.money import parse_picos
from bursar.usage.intake import Rejection
from bursar.usage.quotas.quota import month_of
from bursar.usage.quotas.room import Wanted
from bursar.usage.record import UnnumberedLines, encode_records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bursar.errors import Reason
    from bursar.usage.intake import Intake
    from bursar.usage.quotas.quota import Month
    from bursar.usage.quotas.room import Limited, TenantLimits

    Needs = Mapping[tuple[Limited, Month], Wanted]
    """What is needed of each tenant and project that has quotas, by month."""
    from bursar.usage.record import UsageLine


class _CallersPart(msgspec.Struct, gc=False):
    event_id: str | None = None
    project_id: str | None = None


class Arrival(msgspec.Struct, gc=False):
    """One record on its way into the journal."""

    tenant_id: str
    time: int
    currency: str
    event: _CallersPart
    cost: str | None = None
    event_id: str | None = None
    """Where the server made it."""

    @property
    def id(self) -> str:
        """The event's id."""
        return self.event_id or self.event.event_id or ""


_decode = msgspec.json.Decoder(Arrival).decode_lines
_decode_part = msgspec.json.Decoder(_CallersPart).decode


def arrivals_in(records: Sequence[UsageLine], lines: Sequence[UnnumberedLines]) -> Iterator[Arrival]:
    """What arrives, in order: 1 µs each. Lines come before records."""
    for part in lines:
        yield from _decode(part.numbered(1))
    if records:
        yield from _decode(encode_records(records))


def picos_of(arrival: Arrival | UsageLine, limited: Limited) -> int:
    """What it counts against a quota on cost."""
    if arrival.cost is None or arrival.currency != limited.currency:
        return 0
    return parse_picos(arrival.cost)


def limits_on(arrival: Arrival | UsageLine, limits: TenantLimits) -> tuple[Limited, ...]:
    """Where the event needs room, of what its tenant has: in its project's quotas first."""
    if not limits.projects:
        return limits.on(None)
    part = arrival.event if isinstance(arrival, Arrival) else _decode_part(arrival.event)
    return limits.on(part.project_id)


def sum_up(arrivals: Sequence[Arrival | UsageLine], limited: Mapping[str, TenantLimits]) -> Needs:
    """What they need together, of each tenant and project that has quotas, by month."""
    needs: dict[tuple[Limited, Month], Wanted] = defaultdict(Wanted)
    for one in arrivals:
        limits = limited.get(one.tenant_id)
        for of in limits_on(one, limits) if limits is not None else ():
            needs[of, month_of(one.time)].add(picos_of(one, of))
    return needs


def take_out(
    intake: Intake,
    lines: list[UnnumberedLines],
    arrivals: Sequence[Arrival],
    refused: Mapping[int, Reason],
) -> None:
    """Turn records into rejections, by their place among the records (`arrivals`) of the body."""
    gone = {one.index for one in intake.rejections}
    indexes = [i for i in range(len(gone) + len(arrivals)) if i not in gone]
    for place, why in refused.items():
        intake.rejections.append(Rejection(indexes[place], (why,), arrivals[place].id))
        intake.unpriced -= arrivals[place].cost is None
    intake.rejections.sort(key=lambda one: one.index)
    kept = (place for place in range(len(arrivals)) if place not in refused)
    named = intake.tracked
    intake.tracked = {new: named[place] for new, place in enumerate(kept) if place in named}
    if intake.answers:
        intake.answers[:] = [one for place, one in enumerate(intake.answers) if place not in refused]
    first_of_records = intake.encoded
    _cut_lines(intake, lines, refused)
    intake.records[:] = [
        one for place, one in enumerate(intake.records, first_of_records) if place not in refused
    ]


def _cut_lines(intake: Intake, lines: list[UnnumberedLines], refused: Mapping[int, Reason]) -> None:
    first, kept_parts = 0, list[UnnumberedLines]()
    for part in lines:
        kept = [
            line
            for place, line in enumerate(part.template.splitlines(keepends=True), first)
            if place not in refused
        ]
        if kept:
            kept_parts.append(UnnumberedLines(len(kept), b"".join(kept)))
        first += part.count
    lines[:] = kept_parts
    intake.encoded = sum(part.count for part in kept_parts)
