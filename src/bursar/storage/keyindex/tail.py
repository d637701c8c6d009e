"""The newest keys: sorted in memory, and in a log file from which a start reads them again.

Frames are appended without a sync: they survive the death of the process, and `trust.py` notices the death
of the machine. A kill in the middle of a frame leaves a part of it behind the last whole one, which was
never answered for; it is cut off.
"""

from __future__ import annotations

import os
import weakref
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from bursar.storage.keyindex.run import Run, joined, sorted_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bursar.storage.keyindex.run import Columns, Words

_HEAD = 5
"""Words at a frame's beginning: checksum of the rest, kind, keys, position and count of all keys."""
_WORD_BYTES = 8


class FrameKind(IntEnum):
    """What a frame says of its keys."""

    ADDED = 0
    REMOVED = 1


@dataclass(frozen=True, slots=True)
class Frame:
    """Keys that came or went at once, and how things stood afterwards."""

    kind: FrameKind
    columns: Columns
    position: int
    count: int


class FrameLog:
    """The log file of the newest keys. One thread appends."""

    def __init__(self, path: Path) -> None:
        """Open the file or make it; what a kill left of a frame is cut off at the first `read`."""
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self.size = os.fstat(self._file).st_size
        self._let_go = weakref.finalize(self, os.close, self._file)

    def append(self, frame: Frame) -> None:
        """Write a frame, whole or not at all.

        Raises:
            OSError: there is no room on the disk.
        """
        content = _encoded(frame)
        try:
            written = os.write(self._file, content)
            while written < len(content):
                written += os.write(self._file, content[written:])
        except OSError:
            os.ftruncate(self._file, self.size)
            raise
        self.size += len(content)

    def read(self) -> Iterator[Frame]:
        """Every whole frame, in order.

        Raises:
            ValueError: a frame is damaged that others follow.
        """
        words = np.fromfile(self.path, dtype=np.uint64)
        start = 0
        while start + _HEAD <= len(words):
            end = start + _HEAD + 4 * int(words[start + 2])
            if end > len(words):
                break
            if xxhash.xxh3_64_intdigest(words[start + 1 : end].tobytes()) != int(words[start]):
                message = f"{self.path} is damaged at byte {start * _WORD_BYTES}"
                raise ValueError(message)
            yield _decoded(words[start:end])
            start = end
        self.size = start * _WORD_BYTES
        os.ftruncate(self._file, self.size)

    def close(self) -> None:
        """Let go of the file; so does the end of this object."""
        self._let_go()


def _encoded(frame: Frame) -> bytes:
    keys = len(frame.columns[0])
    head = np.array([frame.kind, keys, frame.position, frame.count], np.uint64)
    content = np.concatenate([head, *frame.columns]).tobytes()
    return xxhash.xxh3_64_intdigest(content).to_bytes(_WORD_BYTES, "little") + content


def _decoded(words: Words) -> Frame:
    columns = words[_HEAD:].reshape(4, -1)
    return Frame(
        FrameKind(int(words[1])),
        (columns[0], columns[1], columns[2], columns[3]),
        int(words[3]),
        int(words[4]),
    )


@dataclass(frozen=True, slots=True)
class Tail:
    """The newest keys as few runs in memory, each at least twice as large as the one behind it."""

    runs: tuple[Run, ...] = ()

    def __len__(self) -> int:
        """How many keys."""
        return sum(len(run) for run in self.runs)

    def with_more(self, columns: Columns) -> Tail:
        """The same and further keys."""
        last = sorted_run(columns)
        kept = list(self.runs)
        while kept and len(kept[-1]) < 2 * len(last):
            last = sorted_run(joined([kept.pop().columns, last.columns]))
        return Tail((*kept, last))

    def whole(self) -> Run:
        """All of them in one run."""
        return sorted_run(joined([run.columns for run in self.runs]))
