"""Several runs become one, slice by slice, so that no single call takes long however large they are.

A slice is a part of the key space, about as many keys as a batch has. What is removed meanwhile is marked
in the new run too, as far as it is filled. A merge that is cut short left a file that nobody knows: it is
deleted at the next start and begun again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bursar.storage.keyindex.checksums import ColumnSums, filter_sum
from bursar.storage.keyindex.run import GONE, RunFile, fill_filter, joined, make_file, sorted_run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SLICE_KEYS = 65_536
"""Two megabytes of columns, which stay in the processor's cache while they are sorted."""


class Merge:
    """One merge under way, in the thread that writes."""

    def __init__(self, runs: Sequence[RunFile], folder: Path, name: str, level: int) -> None:
        """Begin to merge these runs into a file of this name.

        Raises:
            OSError: there is no room on the disk for it.
        """
        self.runs = tuple(runs)
        keys = sum(len(run) for run in runs)
        slices = 1 << (keys // SLICE_KEYS).bit_length()
        starts = np.arange(1, slices, dtype=np.uint64) << np.uint64(64 - slices.bit_length() + 1)
        self._bounds = [[0, *np.searchsorted(run.upper, starts).tolist(), len(run)] for run in runs]
        self._slices, self._done, self._filled = slices, 0, 0
        # Of one run alone half is gone, whose room is to be free. Counting all of several would take long.
        room = keys if len(runs) > 1 else int((runs[0].seqs < GONE).sum())
        self._into = make_file(folder, name, room, level)
        self._read = [ColumnSums() for _ in runs]
        self._written = ColumnSums()

    @property
    def is_done(self) -> bool:
        """Whether all slices are merged."""
        return self._done == self._slices

    def step(self) -> int:
        """Merge the next slice; returns how many keys were read."""
        slices = [
            run.part(bounds[self._done], bounds[self._done + 1])
            for run, bounds in zip(self.runs, self._bounds, strict=True)
        ]
        for columns, sums in zip(slices, self._read, strict=True):
            sums.add(columns)
        parts = joined(slices)
        piece, start = sorted_run(parts), self._filled
        self._filled += len(piece)
        for to, content in zip(self._into.part(start, self._filled), piece.columns, strict=True):
            to[:] = content
        fill_filter(self._into.filter, piece.upper)
        self._written.add(piece.columns)
        self._done += 1
        return len(parts[0])

    def finish(self) -> RunFile:
        """The new run with its checksums, when all slices are merged.

        Raises:
            ValueError: what was read of a run isn't what was written there.
        """
        for run, sums in zip(self.runs, self._read, strict=True):
            if sums.digests() != run.shape.sums[:-1]:
                message = f"{run.shape.name} is damaged: it isn't what was written"
                raise ValueError(message)
        result = self.result()
        sums = (*self._written.digests(), filter_sum(result.filter))
        return replace(result, shape=msgspec.structs.replace(result.shape, sums=sums))

    def result(self) -> RunFile:
        """The new run, as far as it is filled."""
        filled = msgspec.structs.replace(self._into.shape, keys=self._filled)
        return RunFile(*self._into.part(0, self._filled), self._into.filter, filled)
