"""Which journal records one transaction applies: deliveries, and the corrections and voids among them.

A correction or a void finds an event by its id, and only one whose first delivery came before it. So it
makes no difference whether deliveries behind it are there already, and both may alternate record by record
without a transaction for each. Every other change stands alone: it is about whatever is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar.storage.duckdb.change_reader import Correction, Refusal, Step, Void, read_steps
from bursar.usage.applying import BatchKind, RecordBatch

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
    """Records that change earlier ones, one behind the other."""

    first_seq: int
    steps: list[Step]

    @property
    def last_seq(self) -> int:
        """Seq of the last of these records."""
        return self.first_seq + len(self.steps) - 1


Stretch = list[Deliveries | Changes]
"""Records in order; where it has more than one part, they may be applied together."""


def stretches(batches: Iterable[RecordBatch], after_seq: int) -> Iterator[Stretch]:
    """The records behind a position, in as few stretches as can be."""
    stretch: Stretch = []
    for batch in batches:
        if batch.last_seq <= after_seq:
            continue
        rest = batch.between(after_seq, batch.last_seq)
        if rest.kind in _DELIVERIES:
            _add_delivery(stretch, rest)
            continue
        for seq, step in enumerate(read_steps(rest.payload.splitlines()), rest.first_seq):
            if isinstance(step.change, Correction | Void | Refusal):
                _add_change(stretch, seq, step)
                continue
            if stretch:
                yield stretch
            yield [Changes(seq, [step])]
            stretch = []
    if stretch:
        yield stretch


def deliveries_of(stretch: Stretch) -> list[RecordBatch]:
    """All batches of deliveries."""
    return [batch for part in stretch if isinstance(part, Deliveries) for batch in part.batches]


def steps_of(stretch: Stretch) -> Sequence[Step]:
    """All changes."""
    return [step for part in stretch if isinstance(part, Changes) for step in part.steps]


def _add_delivery(stretch: Stretch, batch: RecordBatch) -> None:
    last = stretch[-1] if stretch else None
    if isinstance(last, Deliveries):
        last.batches.append(batch)
    else:
        stretch.append(Deliveries([batch]))


def _add_change(stretch: Stretch, seq: int, step: Step) -> None:
    last = stretch[-1] if stretch else None
    if isinstance(last, Changes):
        last.steps.append(step)
    else:
        stretch.append(Changes(seq, [step]))
