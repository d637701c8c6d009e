"""Which journal records one transaction applies: deliveries, and the corrections and voids among them.

A correction or a void finds an event by its id, and only one whose first delivery came before it. So it
makes no difference whether deliveries behind it are there already, and both may alternate record by record
without a transaction for each. So may the ratings of a rating run, which wait in a table of their own.
Every other change stands alone: it is about whatever is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bursar.storage.duckdb.change_reader import (
    Correction,
    RatingRun,
    Refusal,
    RunBeginnings,
    Step,
    Void,
    read_steps,
)
from bursar.usage.applying import BatchKind, RecordBatch
from bursar.usage.changes import RATES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_DELIVERIES = frozenset({BatchKind.USAGE, BatchKind.TOMBSTONE})
"""Usage, and what a rewritten journal has in its place."""


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Batches of usage records and tombstones."""

    batches: list[RecordBatch]

    @property
    def last_seq(self) -> int:
        """Seq of the last of these records."""
        return self.batches[-1].last_seq


@dataclass(frozen=True, slots=True)
class Changes:
    """Records that change earlier ones, without a gap between their positions."""

    first_seq: int
    steps: list[Step]

    @property
    def last_seq(self) -> int:
        """Seq of the last of these records."""
        return self.first_seq + len(self.steps) - 1


Stretch = list[Deliveries | Changes]
"""Records in order; where it has more than one part, they may be applied together."""

RUNS_TOGETHER = 64
"""Runs of changes in one stretch at most. Each takes 15 to 35 ms and, until the transaction ends, 0.7 MB."""


def stretches(batches: Iterable[RecordBatch], after_seq: int) -> Iterator[Stretch]:
    """The records behind a position, in as few stretches as can be."""
    gathered = _Gathered()
    for batch in batches:
        if batch.last_seq <= after_seq:
            continue
        rest = batch.between(after_seq, batch.last_seq)
        if rest.kind in _DELIVERIES:
            gathered.add_delivery(rest)
            continue
        for seq, step in enumerate(read_steps(rest.payload.splitlines()), rest.first_seq):
            is_alone = not _goes_with_deliveries(step)
            if is_alone or gathered.is_full:
                yield from gathered.end()
            gathered.add_change(seq, step)
            if is_alone:
                yield from gathered.end()
    yield from gathered.end()


def _goes_with_deliveries(step: Step) -> bool:
    """Whether deliveries behind it may be there already; ratings change nothing before the commit."""
    change = step.change
    return isinstance(change, Correction | Void | Refusal) or (
        isinstance(change, RatingRun) and change.step == RATES
    )


def deliveries_of(stretch: Stretch) -> list[RecordBatch]:
    """All batches of deliveries."""
    return [batch for part in stretch if isinstance(part, Deliveries) for batch in part.batches]


def steps_of(stretch: Stretch) -> Sequence[Step]:
    """All changes."""
    return [step for part in stretch if isinstance(part, Changes) for step in part.steps]


@dataclass(slots=True)
class _Gathered:
    """The stretch that is being put together."""

    _stretch: Stretch = field(default_factory=list[Deliveries | Changes])
    _runs: int = 0
    _beginnings: RunBeginnings = field(default_factory=RunBeginnings)

    def add_delivery(self, batch: RecordBatch) -> None:
        last = self._stretch[-1] if self._stretch else None
        if isinstance(last, Deliveries):
            last.batches.append(batch)
        else:
            self._stretch.append(Deliveries([batch]))

    @property
    def is_full(self) -> bool:
        """Whether the next change has to go into another stretch."""
        return self._runs >= RUNS_TOGETHER

    def add_change(self, seq: int, step: Step) -> None:
        self._runs += self._beginnings.begins(step)
        last = self._stretch[-1] if self._stretch else None
        # Positions may have a gap, behind a write that failed.
        if isinstance(last, Changes) and last.last_seq + 1 == seq:
            last.steps.append(step)
        else:
            self._stretch.append(Changes(seq, [step]))

    def end(self) -> Iterator[Stretch]:
        """Give the stretch away, if there is one, and begin another."""
        if self._stretch:
            yield self._stretch
        self._stretch, self._runs, self._beginnings = [], 0, RunBeginnings()
