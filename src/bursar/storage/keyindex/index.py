"""Maps an event's key to its position and fingerprint: exactly-once, on disk, at a cost that stays flat.

The key is the MD5 of tenant and event id (16 bytes; a second preimage, which is what one tenant
would need to shadow another's event, is out of reach). Beside it stand the seq of the first delivery
and the fingerprint of what the client sent. *The lowest position wins*: a replay after a crash
finds its own position and counts as the first delivery again.

New keys are kept sorted in memory and in a log (`tail.py`), then in files of sorted runs (`files.py`,
`run.py`), which are merged into larger ones a slice at a time (`levels.py`, `merge.py`): each key is written
about five times in its life, always in order. A filter tells nearly always that a run doesn't have a key, so
a new key touches next to nothing of what is stored. Nothing is synced before the end: it survives SIGKILL (it
is in the page cache) but not a power cut; `trust.py` notices that and rebuilds the index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bursar.storage.keyindex.files import DamagedIndexError, IndexFiles
from bursar.storage.keyindex.run import GONE, KEY_TYPE, NOTHING, joined
from bursar.usage.applying import Delivery, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bursar.storage.keyindex.run import Columns, Words

INDEX_VERSION = 3
FINGERPRINT_SCHEME = 1
"""Version of how fingerprints are made; other schemes are never compared."""
_READ_AT_ONCE = 2**20


class RunKeyIndex:
    """One folder of sorted runs. One thread writes; any thread may look up."""

    Damaged = DamagedIndexError
    """What opening a damaged index raises."""

    def __init__(self, folder: Path) -> None:
        """Open or make the index in this folder.

        Raises:
            RunKeyIndex.Damaged: it can't be read.
        """
        self._files = IndexFiles(folder)
        self._removals: int = 0

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
            self._files.tidy(len(there))

    def items(self) -> Iterator[tuple[bytes, int, int]]:
        """Every key with the seq and the fingerprint of its first delivery, sorted by key; all in memory."""
        upper, lower, seqs, prints = joined([run.columns for run in self._files.now.runs])
        for i in np.lexsort((lower, upper)).tolist():
            if seqs[i] < GONE:
                key = int(upper[i]).to_bytes(8, "big") + int(lower[i]).to_bytes(8, "big")
                yield key, int(seqs[i]), int(prints[i])

    def count(self) -> int:
        """How many keys are known."""
        return self._files.now.count

    def count_up_to(self, seq: int) -> int:
        """How many keys have their first delivery at or before `seq`; reads the whole index."""
        return sum(
            int((run.seqs[start : start + _READ_AT_ONCE] <= np.uint64(seq)).sum())
            for run in self._files.now.runs
            for start in range(0, len(run), _READ_AT_ONCE)
        )

    def removals(self) -> int:
        """How often keys were taken out since it was opened; what was copied meanwhile may lack some."""
        return self._removals

    def position(self) -> int:
        """The highest seq that was ever recorded."""
        return self._files.now.position

    def advance(self, seq: int) -> None:
        """Note that everything up to `seq` has been looked at."""
        if seq > self._files.now.position:
            self._add(NOTHING, seq)

    def copy_to(self, folder: Path) -> None:
        """Write a copy into an empty folder; it is whole if `removals` is the same afterwards."""
        self._files.copy_to(folder)

    def close(self) -> None:
        """Write everything to disk and close."""
        self._files.close()

    def _look_up(self, upper: Words, lower: Words) -> tuple[Words, Words]:
        """Position and fingerprint of each key; `GONE` where it isn't known."""
        seqs, prints = np.full(len(upper), GONE), np.zeros(len(upper), np.uint64)
        for run in self._files.now.runs:
            asked, at = run.places_of(upper, lower)
            earlier = run.seqs[at] < seqs[asked]
            asked, at = asked[earlier], at[earlier]
            seqs[asked], prints[asked] = run.seqs[at], run.prints[at]
        return seqs, prints

    def _add(self, columns: Columns, position: int) -> None:
        self._files.add(columns, position)
        self._files.tidy(len(columns[0]))

    def _drop(self, upper: Words, lower: Words, seqs: Words) -> None:
        self._removals += 1
        self._files.drop(upper, lower, seqs)


def _halves(keys: Sequence[bytes] | NDArray[np.void]) -> tuple[Words, Words]:
    """Keys as numbers."""
    array = keys if isinstance(keys, np.ndarray) else np.frombuffer(b"".join(keys), KEY_TYPE)
    return array["upper"].astype(np.uint64), array["lower"].astype(np.uint64)
