"""An LMDB file that maps an event's key to its position and fingerprint: exactly-once, on disk.

The key is the MD5 of tenant and event id (16 bytes; a second preimage, which is what one tenant
would need to shadow another's event, is out of reach). The value is the seq of the first delivery
and the fingerprint of what the client sent. *The lowest position wins*: a replay after a crash
finds its own position and counts as the first delivery again.

Writes are sorted and unsynced, which LMDB does in 1 to 2 µs a key. Unsynced pages survive SIGKILL
(they are in the page cache) but not a power cut; `trust.py` notices that and rebuilds the index.
"""

from __future__ import annotations

import struct
from itertools import islice
from typing import TYPE_CHECKING

import lmdb
import numpy as np

from bursar.usage.applying import Delivery, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

INDEX_VERSION = 1
FINGERPRINT_SCHEME = 1
"""Version of how fingerprints are made; other schemes are never compared."""
_VALUE = struct.Struct("<QQ")
_VALUE_TYPE = np.dtype([("seq", "<u8"), ("print", "<u8")])
_POSITION = b"position"
"""The one key that is no event's: those have 16 bytes."""
_READ_AT_ONCE = 100_000
"""Values looked at together."""
_MAP_BYTES = 2**40
"""Address space reserved, not memory or disk: room for about ten billion keys."""


class LmdbKeyIndex:
    """One LMDB environment. One thread writes; any thread may look up."""

    Damaged = lmdb.Error
    """What opening a damaged index raises."""

    def __init__(self, folder: Path) -> None:
        """Open or make the index in this folder.

        Raises:
            LmdbKeyIndex.Damaged: it can't be read.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._environment = lmdb.open(
            str(folder),
            map_size=_MAP_BYTES,
            sync=False,
            metasync=False,
            max_readers=512,
            subdir=True,
            lock=True,
            readahead=False,
        )
        pages, size = self._environment.info()["last_pgno"] + 1, (folder / "data.mdb").stat().st_size
        if pages * self._environment.stat()["psize"] > size:
            # LMDB would end the process (SIGBUS) as soon as it looked at a page that isn't there.
            self._environment.close()
            message = f"{folder} has {pages} pages, but its file is shorter"
            raise lmdb.CorruptedError(message)

    def record(self, keys: Sequence[bytes], seqs: NDArray[np.uint64], prints: NDArray[np.uint64]) -> Seen:
        """Note deliveries and say for each whether it is the first of its key.

        Keys must be sorted, equal keys by seq. Calling it again with the same deliveries gives the
        same answer.
        """
        values = np.empty(len(seqs), dtype=_VALUE_TYPE)
        values["seq"], values["print"] = seqs, prints
        raw = values.tobytes()
        items = [(key, raw[i * _VALUE.size : (i + 1) * _VALUE.size]) for i, key in enumerate(keys)]
        with self._environment.begin(write=True) as transaction:
            self._note_position(transaction, int(seqs.max()) if len(seqs) else 0)
            cursor = transaction.cursor()
            _, added = cursor.putmulti(items, overwrite=False)
            if added == len(items):
                return Seen(np.zeros(len(items), np.uint8), seqs)
            stored = _stored(cursor, keys)
            if self._claim_earlier(transaction, items, np.flatnonzero(stored["seq"] > seqs).tolist()):
                stored = _stored(cursor, keys)
        outcomes = np.where(
            stored["seq"] == seqs,
            Delivery.NEW,
            np.where(stored["print"] == prints, Delivery.DUPLICATE, Delivery.CONFLICT),
        )
        return Seen(outcomes.astype(np.uint8), stored["seq"].astype(np.uint64))

    def find(self, key: bytes) -> int | None:
        """The seq of a key's first delivery, if it was seen."""
        with self._environment.begin() as transaction:
            value = transaction.get(key)
        return None if value is None else int(_VALUE.unpack(value)[0])

    def find_all(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        """The seq of each key's first delivery, for those that were seen."""
        with self._environment.begin() as transaction:
            values = {key: transaction.get(key) for key in keys}
        return {key: int(_VALUE.unpack(value)[0]) for key, value in values.items() if value is not None}

    def differences(self, keys: Sequence[bytes], seqs: NDArray[np.uint64]) -> dict[int, int | None]:
        """What the index says about keys whose first delivery isn't at the given seq, by their place.

        Sorted keys are found fastest.
        """
        with self._environment.begin() as transaction:
            found = transaction.cursor().getmulti(keys)
        stored = np.frombuffer(b"".join(value for _, value in found), dtype=_VALUE_TYPE)["seq"]
        if len(found) == len(keys):
            return {i: int(stored[i]) for i in np.flatnonzero(stored != seqs).tolist()}
        known = dict(zip((key for key, _ in found), stored.tolist(), strict=True))
        return {
            i: known.get(key)
            for i, (key, seq) in enumerate(zip(keys, seqs.tolist(), strict=True))
            if known.get(key) != seq
        }

    def remove(self, keys: Sequence[bytes], seqs: NDArray[np.uint64]) -> None:
        """Forget keys whose first delivery is at the given seq; others, of later deliveries, stay.

        Call it only when everything before the record that removes them is committed: then a repeat
        after a crash finds nothing to remove, and nothing before it is applied again.
        """
        with self._environment.begin(write=True) as transaction:
            for key, seq in zip(keys, seqs.tolist(), strict=True):
                value = transaction.get(key)
                if value is not None and _VALUE.unpack(value)[0] == seq:
                    transaction.delete(key)

    def items(self) -> Iterator[tuple[bytes, int, int]]:
        """Every key with the seq and the fingerprint of its first delivery, sorted by key."""
        with self._environment.begin() as transaction:
            for key, value in transaction.cursor():
                if len(value) == _VALUE.size:
                    yield (bytes(key), *_VALUE.unpack(value))

    def count(self) -> int:
        """How many keys are known."""
        return max(int(self._environment.stat()["entries"]) - 1, 0)

    def count_up_to(self, seq: int) -> int:
        """How many keys have their first delivery at or before `seq`; reads the whole index."""
        with self._environment.begin() as transaction:
            values = transaction.cursor().iternext(keys=False, values=True)
            count = 0
            while part := b"".join(one for one in islice(values, _READ_AT_ONCE) if len(one) == _VALUE.size):
                count += int((np.frombuffer(part, dtype=_VALUE_TYPE)["seq"] <= seq).sum())
            return count

    def position(self) -> int:
        """The highest seq that was ever recorded."""
        with self._environment.begin() as transaction:
            value = transaction.get(_POSITION)
        return 0 if value is None else int.from_bytes(value, "little")

    def advance(self, seq: int) -> None:
        """Note that everything up to `seq` has been looked at."""
        with self._environment.begin(write=True) as transaction:
            self._note_position(transaction, seq)

    def copy_to(self, folder: Path) -> None:
        """Write a compact copy as it is at one moment, beside the writer, into an empty folder."""
        self._environment.copy(str(folder), compact=True)

    def close(self) -> None:
        """Write everything to disk and close."""
        self._environment.sync(True)  # noqa: FBT003 - LMDB's own signature
        self._environment.close()

    @staticmethod
    def _note_position(transaction: lmdb.Transaction, seq: int) -> None:
        stored = transaction.get(_POSITION)
        if stored is None or int.from_bytes(stored, "little") < seq:
            transaction.put(_POSITION, seq.to_bytes(8, "little"))

    @staticmethod
    def _claim_earlier(
        transaction: lmdb.Transaction, items: Sequence[tuple[bytes, bytes]], later: Sequence[int]
    ) -> bool:
        """Let deliveries take keys over that are stored with a later position; False if there are none."""
        # Of equal keys the earliest comes first, so it is written last.
        for i in reversed(later):
            transaction.put(items[i][0], items[i][1])
        return len(later) > 0


def _stored(cursor: lmdb.Cursor, keys: Sequence[bytes]) -> NDArray[np.void]:
    """The values of keys that are all known to be there."""
    return np.frombuffer(b"".join(value for _, value in cursor.getmulti(keys)), dtype=_VALUE_TYPE)
