"""Checksums of run files, by which a bit that changed on the disk is noticed before it gives a wrong answer.

Columns and filter of a finished run never change but for the mark on the positions of removed keys, so the
checksum of that column is made without marks. The marks have a sum of their own: each place adds a number
that only it has, so that the sum follows removals at no cost. All files are read once when an index is opened
(`files.py`), and each again when it is merged (`merge.py`); what is noticed there has the index made anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xxhash

from bursar.storage.keyindex.run import GONE, RunFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bursar.storage.keyindex.run import Columns, Places, RunShape, Words

_READ_WORDS = 2**16
"""Half a megabyte, which stays in the processor's cache between reading and summing."""
_WORD_BYTES = 8
_SEQS = 2
"""The column that has marks."""
_UNMARKED = GONE - np.uint64(1)
_STEP, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
"""Of SplitMix64 (Steele, Lea, Flood 2014)."""
_SHIFT = np.uint64(31)
_ALL_BITS = 2**64 - 1


class ColumnSums:
    """Checksums of four columns that come piece by piece."""

    def __init__(self) -> None:
        """Begin with empty columns."""
        self._sums = tuple(xxhash.xxh3_64() for _ in range(4))

    def add(self, columns: Columns) -> None:
        """The next piece of each."""
        upper, lower, seqs, prints = columns
        for checksum, piece in zip(self._sums, (upper, lower, seqs & _UNMARKED, prints), strict=True):
            checksum.update(piece.tobytes())

    def digests(self) -> tuple[int, ...]:
        """One of each column."""
        return tuple(checksum.intdigest() for checksum in self._sums)


def filter_sum(words: Words) -> int:
    """The checksum of a filter."""
    checksum = xxhash.xxh3_64()
    for start in range(0, len(words), _READ_WORDS):
        checksum.update(words[start : start + _READ_WORDS].tobytes())
    return checksum.intdigest()


def sums_of(run: RunFile) -> tuple[int, ...]:
    """The checksums of a run that was just written: four columns and the filter."""
    columns = ColumnSums()
    columns.add(run.columns)
    return (*columns.digests(), filter_sum(run.filter))


def marks_sum(places: Places) -> int:
    """What marks at these places add to a run's sum, modulo 2**64; each place must be named once."""
    mixed = (places.astype(np.uint64) + np.uint64(1)) * _STEP
    mixed = (mixed ^ (mixed >> _SHIFT)) * _MIX
    return int(mixed.sum(dtype=np.uint64))


def joined_sums(one: int, other: int) -> int:
    """The sum of the marks of both."""
    return (one + other) & _ALL_BITS


def check_file(folder: Path, shape: RunShape, marks: int) -> None:
    """Read a run's file whole and compare it with what is known of it.

    Raises:
        ValueError: it is damaged.
        OSError: it can't be read.
    """
    found, found_marks = [xxhash.xxh3_64() for _ in range(5)], 0
    for i, start, words in _pieces(folder / shape.name, shape):
        if i == _SEQS:
            found_marks = joined_sums(found_marks, marks_sum(start + np.flatnonzero(words >= GONE)))
            np.bitwise_and(words, _UNMARKED, out=words)
        found[i].update(words.data)
    if tuple(checksum.intdigest() for checksum in found) != shape.sums or found_marks != marks:
        message = f"{folder / shape.name} is damaged: it isn't what was written"
        raise ValueError(message)


def _pieces(path: Path, shape: RunShape) -> Iterator[tuple[int, int, Words]]:
    """Number of column (or filter), place in it and words; the words are overwritten by the next ones."""
    buffer = np.empty(_READ_WORDS, np.uint64)
    with path.open("rb", buffering=0) as file:
        for i in range(5):
            file.seek(i * shape.room * _WORD_BYTES)
            words = shape.keys if i < 4 else shape.filter_words  # noqa: PLR2004 - behind four columns
            for start in range(0, words, _READ_WORDS):
                piece = buffer[: min(_READ_WORDS, words - start)]
                if file.readinto(piece.data.cast("B")) != piece.nbytes:
                    message = f"{path} is shorter than it should be"
                    raise ValueError(message)
                yield i, start, piece
