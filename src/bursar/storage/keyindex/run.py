"""A sorted run of keys: columns in one file or in memory, and a filter that says which keys it can't have.

A run never grows. Its file holds the columns one after the other (upper and lower half of the key, position,
fingerprint, 8 bytes each), then the filter. Keys are digests, so their upper bits place them: the word of
the filter that speaks of a key is found by shifting, and sorted keys go through the filter in order.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Words = NDArray[np.uint64]
    Places = NDArray[np.intp]
    Columns = tuple[Words, Words, Words, Words]
    """Upper and lower halves, positions, fingerprints."""

_NONE: Words = np.zeros(0, np.uint64)
NOTHING: Columns = (_NONE, _NONE, _NONE, _NONE)
KEY_TYPE = np.dtype([("upper", ">u8"), ("lower", ">u8")])
GONE = np.uint64(2**63)
"""The mark on the position of a key that was removed; no record's position is as high."""
_COLUMNS = 4
_WORD_BYTES = 8
_KEYS_PER_WORD = 4
"""At most, on average: 2 to 4 bytes a key; 1 to 5 of 1,000 unknown keys pass (measured)."""
_BITS = tuple(np.uint64(shift) for shift in (0, 6, 12, 18))
"""Where in a key the numbers of its bits in the filter stand; the lowest bits of the upper half."""
_LEFT_FREE_BYTES = 64 * 2**20
"""On the disk, for the journal."""
_ONE, _SIX_BITS = np.uint64(1), np.uint64(63)


class RunShape(msgspec.Struct, frozen=True):
    """What must be known of a run's file to read it."""

    name: str
    keys: int
    room: int
    """Keys that the file was made for, of which some may have fallen away."""
    level: int
    sums: tuple[int, ...] = ()
    """Checksums of its columns and its filter (`checksums.py`); none until it is whole."""

    @property
    def filter_words(self) -> int:
        """The length of its filter."""
        return filter_size(self.room)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Keys in order of their upper halves, each with its position and fingerprint; in memory."""

    upper: Words
    lower: Words
    seqs: Words
    prints: Words

    def __len__(self) -> int:
        """How many keys, with those removed."""
        return len(self.upper)

    @property
    def columns(self) -> Columns:
        """All four."""
        return self.upper, self.lower, self.seqs, self.prints

    def part(self, start: int, end: int) -> Columns:
        """A part of the columns."""
        return self.upper[start:end], self.lower[start:end], self.seqs[start:end], self.prints[start:end]

    def places_of(self, upper: Words, lower: Words) -> tuple[Places, Places]:
        """Which of the given keys it has, and where; removed ones too. Sorted keys are found fastest."""
        asked = self._possible(upper)
        at = np.searchsorted(self.upper, upper[asked])
        found: list[tuple[Places, Places]] = []
        while len(asked):
            inside = at < len(self)
            asked, at = asked[inside], at[inside]
            near = self.upper[at] == upper[asked]
            asked, at = asked[near], at[near]
            hit = self.lower[at] == lower[asked]
            found.append((asked[hit], at[hit]))
            # Keys of equal upper halves stand together; somebody may have sought for some.
            asked, at = asked[~hit], at[~hit] + 1
        if not found:
            return np.empty(0, np.intp), np.empty(0, np.intp)
        return np.concatenate([one for one, _ in found]), np.concatenate([one for _, one in found])

    def mark_gone(self, upper: Words, lower: Words, seqs: Words) -> Places:
        """Mark those of the given keys that stand at the given positions, or did; returns their places."""
        asked, at = self.places_of(upper, lower)
        gone = np.unique(at[self.seqs[at] | GONE == seqs[asked] | GONE])
        self.seqs[gone] |= GONE
        return gone

    def _possible(self, upper: Words) -> Places:
        """Which of the given keys it may have."""
        return np.arange(len(upper))


@dataclass(frozen=True, slots=True, eq=False)
class RunFile(Run):
    """A run in a file, with the filter that stands there too."""

    filter: Words
    shape: RunShape

    def _possible(self, upper: Words) -> Places:
        bits = filter_bits(upper)
        return np.flatnonzero((self.filter[filter_words(upper, len(self.filter))] & bits) == bits)


def sorted_run(columns: Columns) -> Run:
    """A run in memory of columns in any order; keys that were removed are left out."""
    upper, lower, seqs, prints = columns
    order = np.argsort(upper, kind="stable")
    order = order[seqs[order] < GONE]
    return Run(upper[order], lower[order], seqs[order], prints[order])


def joined(columns: Sequence[Columns]) -> Columns:
    """The columns of several runs, one behind the other."""
    upper, lower, seqs, prints = (np.concatenate(parts) for parts in zip(NOTHING, *columns, strict=True))
    return upper, lower, seqs, prints


def filter_words(upper: Words, size: int) -> Words:
    """Which word of a filter of this size (a power of two) speaks of each key."""
    return upper >> np.uint64(64 - size.bit_length() + 1)


def filter_bits(upper: Words) -> Words:
    """The bits of its word that each key sets."""
    bits = np.zeros(len(upper), np.uint64)
    for shift in _BITS:
        bits |= _ONE << ((upper >> shift) & _SIX_BITS)
    return bits


def filter_size(room: int) -> int:
    """The words of a filter for so many keys: a power of two, at least two."""
    return 1 << max(1, (room // _KEYS_PER_WORD).bit_length())


def fill_filter(words: Words, upper: Words) -> None:
    """Set the bits of sorted keys; of each word, all its keys at once."""
    if not len(upper):
        return
    of = filter_words(upper, len(words))
    starts = np.flatnonzero(np.concatenate(([True], of[1:] != of[:-1])))
    words[of[starts]] |= np.bitwise_or.reduceat(filter_bits(upper), starts)


def make_file(folder: Path, name: str, room: int, level: int) -> RunFile:
    """An empty run in a new file with room for so many keys; its columns are mapped to be written.

    Raises:
        OSError: there is no room on the disk. (Without asking for it first, writing would end the process.)
    """
    path = folder / name
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize < _bytes_of(room) + _LEFT_FREE_BYTES:
        # Asking for more than there is would take all that is left for a moment, from the journal too.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    try:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, _bytes_of(room))
        return map_file(folder, RunShape(name, room, room, level))
    except OSError:
        path.unlink(missing_ok=True)
        raise


def map_file(folder: Path, shape: RunShape) -> RunFile:
    """The run of a file.

    Raises:
        ValueError: the file isn't what it should be.
        OSError: it can't be opened.
    """
    path = folder / shape.name
    if path.stat().st_size != _bytes_of(shape.room) or not 0 <= shape.keys <= shape.room:
        message = f"{path} has not the length that it should have"
        raise ValueError(message)
    content = np.memmap(path, dtype=np.uint64, mode="r+")
    upper, lower, seqs, prints = (
        content[i * shape.room : i * shape.room + shape.keys] for i in range(_COLUMNS)
    )
    return RunFile(upper, lower, seqs, prints, content[_COLUMNS * shape.room :], shape)


def fill_file(file: RunFile, run: Run) -> None:
    """Copy a run into a file that has room for it."""
    for to, content in zip(file.columns, run.columns, strict=True):
        to[: len(run)] = content
    if isinstance(run, RunFile):
        file.filter[:] = run.filter
    else:
        fill_filter(file.filter, run.upper)


def _bytes_of(room: int) -> int:
    return (_COLUMNS * room + filter_size(room)) * _WORD_BYTES
