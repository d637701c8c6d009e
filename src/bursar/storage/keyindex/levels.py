"""When runs become larger ones: four of a level are merged into one of the next, a little with each batch.

The largest runs stay as they are until half of one's keys are gone; then it is written anew by itself. How a
merge is made is in `merge.py`, and what becomes of its result in `files.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.storage.keyindex.merge import Merge
from bursar.storage.keyindex.run import GONE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bursar.storage.keyindex.manifest import FileNames
    from bursar.storage.keyindex.run import RunFile, RunShape

FAN = 4
"""Runs that become one of the next level."""
LAST_LEVEL = 4
"""Runs of this level (67 million keys, 2.3 GB) stay: no merge needs more room than that."""
MERGED_PER_KEY = 2
"""Each level merges so many keys for each that is added: it is done before as many runs have come again."""


class Levels:
    """The merges under way, one a level at most; in the thread that writes."""

    def __init__(self, folder: Path, names: FileNames) -> None:
        """Merge into new files of this folder."""
        self._folder = folder
        self._names = names
        self._merges: dict[int, Merge] = {}
        self._gone: dict[RunShape, int] = {}
        """Keys removed from runs of the last level, of those that lost some since the start."""

    def results(self) -> tuple[RunFile, ...]:
        """The new runs, as far as they are filled."""
        return tuple(merge.result() for merge in self._merges.values())

    def note_gone(self, run: RunFile, keys: int) -> None:
        """So many keys of this run were just marked as removed."""
        if keys and run.shape.level == LAST_LEVEL:
            before = self._gone.get(run.shape)
            self._gone[run.shape] = int((run.seqs >= GONE).sum()) if before is None else before + keys

    def __iter__(self) -> Iterator[int]:
        """The levels by number, those of the smallest runs first."""
        return iter(range(LAST_LEVEL + 1))

    def merge_some(self, level: int, files: Sequence[RunFile], added: int) -> Merge | None:
        """Go on with a level's merge after so many keys were added, and return it when it is done.

        It stays until `forget`, so that who fails to put its result to use has it again the next time.

        Raises:
            OSError: there is no room on the disk for a merge that is due.
        """
        merge = self._merges.get(level) or self._begin(level, files)
        if merge is None:
            return None
        keys = added * MERGED_PER_KEY
        while keys > 0 and not merge.is_done:
            keys -= max(1, merge.step())
        return merge if merge.is_done else None

    def forget(self, level: int) -> None:
        """This level's merge has come to its end."""
        del self._merges[level]

    def forget_all(self) -> None:
        """Leave all merges unfinished."""
        self._merges.clear()

    def _begin(self, level: int, files: Sequence[RunFile]) -> Merge | None:
        """The merge that is due on this level; on the last, of a run alone of which half is gone."""
        runs = [run for run in files if run.shape.level == level]
        if level == LAST_LEVEL:
            runs = [run for run in runs if 2 * self._gone.get(run.shape, 0) >= len(run)][:1]
        elif len(runs) < FAN:
            return None
        if not runs:
            return None
        merge = Merge(runs[:FAN], self._folder, self._names.new("run"), min(level + 1, LAST_LEVEL))
        self._merges[level] = merge
        self._gone.pop(runs[0].shape, None)
        return merge
