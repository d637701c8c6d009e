"""Maps an event's key to its position and fingerprint: exactly-once, on disk, at a cost that stays flat.

The key is the MD5 of tenant and event id (16 bytes; a second preimage, which is what one tenant
would need to shadow another's event, is out of reach). Beside it stand the seq of the first delivery
and the fingerprint of what the client sent. *The lowest position wins*: a replay after a crash
finds its own position and counts as the first delivery again.

New keys are kept sorted in memory and in a log (`tail.py`), then in files of sorted runs (`run.py`), which
are merged into larger ones a slice at a time (`merge.py`): each key is written about five times in its life,
always in order. A filter tells nearly always that a run doesn't have a key, so a new key touches next to
nothing of what is stored. Nothing is synced before the end: it survives SIGKILL (it is in the page cache)
but not a power cut; `trust.py` notices that and rebuilds the index.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bursar.storage.durable_files import sync_folder
from bursar.storage.keyindex.manifest import MANIFEST, Manifest, read_manifest, write_manifest
from bursar.storage.keyindex.merge import Merge
from bursar.storage.keyindex.run import (
    GONE,
    KEY_TYPE,
    NOTHING,
    Run,
    RunShape,
    fill_file,
    joined,
    make_file,
    map_file,
)
from bursar.storage.keyindex.tail import Frame, FrameKind, FrameLog, Tail
from bursar.usage.applying import Delivery, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bursar.storage.keyindex.run import Columns, Words

INDEX_VERSION = 2
FINGERPRINT_SCHEME = 1
"""Version of how fingerprints are made; other schemes are never compared."""
TAIL_KEYS = 2**18
"""Keys in memory at most, about: eight megabytes, and as much in the log."""
_LOG_BYTES = 64 * TAIL_KEYS
"""Removals and idle steps are in the log too."""
FAN = 4
"""Runs that become one of the next level."""
LAST_LEVEL = 4
"""Runs of this level (67 million keys, 2.3 GB) stay: no merge needs more room than that."""
MERGED_PER_KEY = 2
"""Each level merges so many keys for each that is added: it is done before as many runs have come again."""
_READ_AT_ONCE = 2**20


class DamagedIndexError(Exception):
    """What is on disk isn't an index that can be read."""


class RunKeyIndex:
    """One folder of sorted runs. One thread writes; any thread may look up."""

    Damaged = DamagedIndexError
    """What opening a damaged index raises."""

    def __init__(self, folder: Path) -> None:
        """Open or make the index in this folder.

        Raises:
            RunKeyIndex.Damaged: it can't be read.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._snapshot = threading.Lock()
        """Held while what belongs together changes, so that a copy has it as it was at one moment."""
        self._files: tuple[Run, ...] = ()
        self._tail: Tail = Tail()
        self._merges: dict[int, Merge] = {}
        self._position: int = 0
        self._count: int = 0
        self._names: int = 0
        self._removals: int = 0
        self._gone: dict[RunShape, int] = {}
        """Keys removed from runs of the last level, of those that lost some since the start."""
        if not (folder / MANIFEST).exists():
            self._log: FrameLog = FrameLog(folder / self._new_name("log"))
            self._save()
        else:
            try:
                self._read()
            except (ValueError, OSError, KeyError, msgspec.MsgspecError) as error:
                message = f"{folder}: {error}"
                raise DamagedIndexError(message) from error
        self._remove_unknown()

    def record(
        self,
        keys: Sequence[bytes] | NDArray[np.void],
        seqs: NDArray[np.uint64],
        prints: NDArray[np.uint64],
    ) -> Seen:
        """Note deliveries and say for each whether it is the first of its key.

        Keys must be sorted, equal keys by seq. Calling it again with the same deliveries gives the
        same answer.
        """
        upper, lower = _halves(keys)
        if not len(upper):
            return Seen(np.zeros(0, np.uint8), seqs)
        leads = np.concatenate(([True], (upper[1:] != upper[:-1]) | (lower[1:] != lower[:-1])))
        known, known_prints = self._look_up(upper, lower)
        wins = leads & (known > seqs)
        claimed = np.flatnonzero(wins & (known != GONE))
        if len(claimed):
            self._drop(upper[claimed], lower[claimed], known[claimed])
        self._add((upper[wins], lower[wins], seqs[wins], prints[wins]), int(seqs.max()))
        if wins.all():
            return Seen(np.zeros(len(seqs), np.uint8), seqs)
        of = np.maximum.accumulate(np.where(leads, np.arange(len(leads)), 0))
        first = np.where(wins, seqs, known)[of]
        first_prints = np.where(wins, prints, known_prints)[of]
        outcomes = np.where(
            first == seqs,
            Delivery.NEW,
            np.where(first_prints == prints, Delivery.DUPLICATE, Delivery.CONFLICT),
        )
        return Seen(outcomes.astype(np.uint8), first)

    def find(self, key: bytes) -> int | None:
        """The seq of a key's first delivery, if it was seen."""
        return self.find_all([key]).get(key)

    def find_all(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        """The seq of each key's first delivery, for those that were seen."""
        known, _ = self._look_up(*_halves(keys))
        return {keys[i]: int(known[i]) for i in np.flatnonzero(known != GONE).tolist()}

    def differences(
        self, keys: Sequence[bytes] | NDArray[np.void], seqs: NDArray[np.uint64]
    ) -> dict[int, int | None]:
        """What the index says about keys whose first delivery isn't at the given seq, by their place.

        Sorted keys are found fastest.
        """
        known, _ = self._look_up(*_halves(keys))
        return {
            i: None if known[i] == GONE else int(known[i]) for i in np.flatnonzero(known != seqs).tolist()
        }

    def remove(self, keys: Sequence[bytes] | NDArray[np.void], seqs: NDArray[np.uint64]) -> None:
        """Forget keys whose first delivery is at the given seq; others, of later deliveries, stay.

        Call it only when everything before the record that removes them is committed: then a repeat
        after a crash finds nothing to remove, and nothing before it is applied again.
        """
        upper, lower = _halves(keys)
        known, _ = self._look_up(upper, lower)
        there = np.flatnonzero((known == seqs) & (known != GONE))
        if len(there):
            self._drop(upper[there], lower[there], known[there])
            self._tidy(len(there))

    def items(self) -> Iterator[tuple[bytes, int, int]]:
        """Every key with the seq and the fingerprint of its first delivery, sorted by key; all in memory."""
        upper, lower, seqs, prints = joined([run.columns for run in self._runs])
        for i in np.lexsort((lower, upper)).tolist():
            if seqs[i] != GONE:
                key = int(upper[i]).to_bytes(8, "big") + int(lower[i]).to_bytes(8, "big")
                yield key, int(seqs[i]), int(prints[i])

    def count(self) -> int:
        """How many keys are known."""
        return self._count

    def count_up_to(self, seq: int) -> int:
        """How many keys have their first delivery at or before `seq`; reads the whole index."""
        return sum(
            int((run.seqs[start : start + _READ_AT_ONCE] <= np.uint64(seq)).sum())
            for run in self._runs
            for start in range(0, len(run), _READ_AT_ONCE)
        )

    def removals(self) -> int:
        """How often keys were taken out since it was opened; what was copied meanwhile may lack some."""
        return self._removals

    def position(self) -> int:
        """The highest seq that was ever recorded."""
        return self._position

    def advance(self, seq: int) -> None:
        """Note that everything up to `seq` has been looked at."""
        if seq > self._position:
            self._add(NOTHING, seq)

    def copy_to(self, folder: Path) -> None:
        """Write a copy into an empty folder; it is whole if `removals` is the same afterwards."""
        with self._snapshot:
            files, tail, position, count = self._files, self._tail.runs, self._position, self._count
        copied: list[RunShape] = []
        for run in files:
            shape = _shape_of(run)
            copy = make_file(folder, shape.name, shape.room, shape.level)
            fill_file(copy, run)
            copied.append(shape)
        log = FrameLog(folder / "copied.log")
        try:
            for run in tail:
                log.append(Frame(FrameKind.ADDED, run.columns, position, count))
        finally:
            log.close()
        write_manifest(folder, Manifest(log.path.name, copied, position, count, self._names))

    def close(self) -> None:
        """Write everything to disk and close."""
        self._merges.clear()
        self._remove_unknown()
        for path in self._folder.iterdir():
            _sync(path)
        sync_folder(self._folder)
        self._log.close()

    @property
    def _runs(self) -> tuple[Run, ...]:
        with self._snapshot:
            return (*self._files, *self._tail.runs)

    def _look_up(self, upper: Words, lower: Words) -> tuple[Words, Words]:
        """Position and fingerprint of each key; `GONE` where it isn't known."""
        seqs, prints = np.full(len(upper), GONE), np.zeros(len(upper), np.uint64)
        for run in self._runs:
            asked, at = run.places_of(upper, lower)
            earlier = run.seqs[at] < seqs[asked]
            asked, at = asked[earlier], at[earlier]
            seqs[asked], prints[asked] = run.seqs[at], run.prints[at]
        return seqs, prints

    def _add(self, columns: Columns, position: int) -> None:
        keys = len(columns[0])
        position, count = max(position, self._position), self._count + keys
        if keys or position > self._position:
            self._log.append(Frame(FrameKind.ADDED, columns, position, count))
        tail = self._tail.with_more(columns) if keys else self._tail
        with self._snapshot:
            self._tail, self._position, self._count = tail, position, count
        self._tidy(keys)

    def _drop(self, upper: Words, lower: Words, seqs: Words) -> None:
        self._removals += 1
        count = self._count - len(seqs)
        columns = (upper, lower, seqs, np.zeros(len(seqs), np.uint64))
        self._log.append(Frame(FrameKind.REMOVED, columns, self._position, count))
        self._mark_gone(upper, lower, seqs)
        self._count = count

    def _mark_gone(self, upper: Words, lower: Words, seqs: Words) -> None:
        for run in (*self._runs, *(merge.result() for merge in self._merges.values())):
            asked, at = run.places_of(upper, lower)
            gone = at[run.seqs[at] == seqs[asked]]
            run.seqs[gone] = GONE
            if len(gone) and run.shape is not None and run.shape.level == LAST_LEVEL:
                self._note_gone(run, run.shape, len(gone))

    def _note_gone(self, run: Run, shape: RunShape, keys: int) -> None:
        before = self._gone.get(shape)
        self._gone[shape] = int((run.seqs == GONE).sum()) if before is None else before + keys

    def _tidy(self, keys: int) -> None:
        """Move a full tail into a file and go on with merges; a full disk lets both wait."""
        try:
            if len(self._tail) >= TAIL_KEYS or self._log.size > _LOG_BYTES:
                self._flush()
            for level in range(LAST_LEVEL + 1):
                self._merge_some(level, keys * MERGED_PER_KEY)
        except OSError:
            with contextlib.suppress(OSError):
                self._remove_unknown()

    def _flush(self) -> None:
        """Begin a new log; what the old one had becomes a file."""
        whole = self._tail.whole() if len(self._tail) else None
        added: tuple[Run, ...] = ()
        if whole is not None and len(whole):
            file = make_file(self._folder, self._new_name("run"), len(whole), 0)
            fill_file(file, whole)
            added = (file,)
        old, new = self._log, FrameLog(self._folder / self._new_name("log"))
        self._save((*self._files, *added), new)
        with self._snapshot:
            self._files, self._tail, self._log = (*self._files, *added), Tail(), new
        old.close()
        old.path.unlink(missing_ok=True)

    def _merge_some(self, level: int, keys: int) -> None:
        merge = self._merges.get(level)
        if merge is None:
            merge = self._next_merge(level)
            if merge is None:
                return
            self._merges[level] = merge
        while keys > 0 and not merge.is_done:
            keys -= max(1, merge.step())
        if merge.is_done:
            result = merge.result()
            files = (
                *(run for run in self._files if run not in merge.runs),
                *([result] if len(result) else ()),
            )
            self._save(files)
            del self._merges[level]
            with self._snapshot:
                self._files = files
            self._remove_unknown()

    def _next_merge(self, level: int) -> Merge | None:
        """The merge that is due on this level; on the last, of a run alone of which half is gone."""
        runs = [run for run in self._files if _shape_of(run).level == level]
        if level == LAST_LEVEL:
            runs = [run for run in runs if 2 * self._gone.get(_shape_of(run), 0) >= len(run)][:1]
            if not runs:
                return None
            self._gone.pop(_shape_of(runs[0]))
            return Merge(runs, self._folder, self._new_name("run"), level)
        if len(runs) < FAN:
            return None
        return Merge(runs[:FAN], self._folder, self._new_name("run"), level + 1)

    def _new_name(self, kind: str) -> str:
        self._names += 1
        return f"{self._names:08}.{kind}"

    def _save(self, files: Sequence[Run] = (), log: FrameLog | None = None) -> None:
        """Say which files count from now on, and which log goes on from there."""
        name = (log or self._log).path.name
        shapes = [_shape_of(run) for run in files]
        # The log that is in use says more; these count where it is empty.
        manifest = Manifest(name, shapes, self._position, self._count, self._names)
        write_manifest(self._folder, manifest)

    def _read(self) -> None:
        manifest = read_manifest(self._folder)
        self._names, self._position, self._count = manifest.names, manifest.position, manifest.count
        self._files = tuple(map_file(self._folder, shape) for shape in manifest.runs)
        path = self._folder / manifest.log
        if not path.exists():
            message = f"{path} is missing"
            raise ValueError(message)
        self._log = FrameLog(path)
        added: list[Columns] = []
        for frame in self._log.read():
            if frame.kind is FrameKind.REMOVED:
                self._tail, added = self._tail.with_more(joined(added)), []
                self._mark_gone(*frame.columns[:3])
            else:
                added.append(frame.columns)
            self._position, self._count = frame.position, frame.count
        # A quiet ledger's log has a frame for each key or two.
        self._tail = self._tail.with_more(joined(added))

    def _remove_unknown(self) -> None:
        """Delete what was merged, and what a merge or a flush that was cut short left behind."""
        runs = (*self._files, *(merge.result() for merge in self._merges.values()))
        known = {MANIFEST, self._log.path.name, *(_shape_of(run).name for run in runs)}
        for path in self._folder.iterdir():
            if path.name not in known:
                path.unlink()


def _halves(keys: Sequence[bytes] | NDArray[np.void]) -> tuple[Words, Words]:
    """Keys as numbers."""
    array = keys if isinstance(keys, np.ndarray) else np.frombuffer(b"".join(keys), KEY_TYPE)
    return array["upper"].astype(np.uint64), array["lower"].astype(np.uint64)


def _shape_of(run: Run) -> RunShape:
    assert run.shape is not None  # noqa: S101 - only asked of files
    return run.shape


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
