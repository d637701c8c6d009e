"""The files of an index and what they hold: the log of the newest keys, runs, the list of what counts.

Keys come and go here (`add`, `drop`), a full log becomes a run and runs become larger ones (`tidy`). Which
delivery of a key counts is decided in `index.py`, when a merge is due in `levels.py`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import structlog

from bursar.storage.durable_files import sync_folder
from bursar.storage.keyindex.checksums import check_file, joined_sums, marks_sum, sums_of
from bursar.storage.keyindex.levels import Levels
from bursar.storage.keyindex.manifest import MANIFEST, FileNames, Manifest, read_manifest, write_manifest
from bursar.storage.keyindex.run import fill_file, joined, make_file, map_file
from bursar.storage.keyindex.tail import Frame, FrameKind, FrameLog, Tail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bursar.storage.keyindex.merge import Merge
    from bursar.storage.keyindex.run import Columns, Run, RunFile, Words

TAIL_KEYS = 2**18
"""Keys in memory at most, about: eight megabytes, and as much in the log."""
_LOG_BYTES = 64 * TAIL_KEYS
"""Removals and idle steps are in the log too."""

log = structlog.get_logger()


class DamagedIndexError(Exception):
    """What is on disk isn't an index that can be read."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What an index has at one moment. It is replaced whole, so that any thread has what belongs together."""

    files: tuple[RunFile, ...] = ()
    tail: Tail = field(default_factory=Tail)
    position: int = 0
    """The highest seq that was ever recorded."""
    count: int = 0
    """How many keys are known."""

    @property
    def runs(self) -> tuple[Run, ...]:
        """All of them, those of the newest keys last."""
        return (*self.files, *self.tail.runs)


class IndexFiles:
    """The folder of an index. One thread changes it; any thread may read `now` and copy."""

    def __init__(self, folder: Path) -> None:
        """Open or make the index in this folder.

        Raises:
            DamagedIndexError: it can't be read.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._names = FileNames()
        self._levels = Levels(folder, self._names)
        self._marks: dict[str, int] = {}
        """By name of file, the sum of the marks of removed keys (`checksums.py`); a copy may still want it of
        files that were merged."""
        self._removals: int = 0
        """How many the log has."""
        self._troubles: set[str] = set()
        """What keeps it from tidying, as far as it was logged."""
        self.now = Standing()
        if not (folder / MANIFEST).exists():
            self._log = FrameLog(folder / self._names.new("log"))
            self._save((), self._log)
        else:
            try:
                self._log = self._read()
            except (ValueError, OSError, KeyError, msgspec.MsgspecError) as error:
                message = f"{folder}: {error}"
                raise DamagedIndexError(message) from error
        self._remove_unknown()

    def add(self, columns: Columns, position: int) -> None:
        """Keep new keys, and that everything up to this position was looked at.

        Raises:
            OSError: there is no room on the disk; nothing has changed.
        """
        before, keys = self.now, len(columns[0])
        position, count = max(position, before.position), before.count + keys
        if keys or position > before.position:
            self._log.append(Frame(FrameKind.ADDED, columns, position, count))
        tail = before.tail.with_more(columns) if keys else before.tail
        self.now = Standing(before.files, tail, position, count)

    def drop(self, upper: Words, lower: Words, seqs: Words) -> None:
        """Take out keys that stand at these positions.

        Raises:
            OSError: there is no room on the disk; nothing has changed.
        """
        count = self.now.count - len(seqs)
        columns = (upper, lower, seqs, np.zeros(len(seqs), np.uint64))
        self._log.append(Frame(FrameKind.REMOVED, columns, self.now.position, count))
        self._removals += 1
        self._mark_gone(upper, lower, seqs)
        self.now = replace(self.now, count=count)

    def tidy(self, keys: int) -> None:
        """Move a full tail into a file and go on with merges, after so many keys came or went.

        Where the disk doesn't let it (most often it is full), it is tried again with the next keys. Nothing
        is lost meanwhile: these keys are in the log already, and in memory, of which it takes more.

        Raises:
            DamagedIndexError: a file isn't what was written, and nothing that is asked can be believed. It
                is raised each time from now on; the next start makes the index anew.
        """
        if self._succeeds(lambda: self._tidy(keys), "the key index can't be tidied; it will be retried"):
            self._troubles.clear()
        else:
            self._succeeds(self._remove_unknown, "the key index has files that can't be deleted yet")

    def copy_to(self, folder: Path) -> None:
        """Write a copy of what stands now into an empty folder."""
        now = self.now
        marks = self._marks_of(now.files)
        for run in now.files:
            fill_file(make_file(folder, run.shape.name, run.shape.room, run.shape.level), run)
        copied = FrameLog(folder / "copied.log")
        try:
            for run in now.tail.runs:
                copied.append(Frame(FrameKind.ADDED, run.columns, now.position, now.count))
        finally:
            copied.close()
        shapes = [run.shape for run in now.files]
        names = copied.path.name, shapes, now.position, now.count, self._names.given
        write_manifest(folder, Manifest(*names, marks, removals=0))

    def close(self) -> None:
        """Write everything to disk and close."""
        self._levels.forget_all()
        self._remove_unknown()
        for path in self._folder.iterdir():
            _sync(path)
        sync_folder(self._folder)
        self._log.close()

    def _succeeds(self, work: Callable[[], None], otherwise: str) -> bool:
        """Do it; False where the disk doesn't let it, which is logged once until tidying succeeds again."""
        try:
            work()
        except OSError as error:
            trouble = f"{otherwise}: {error.strerror}"
            if trouble not in self._troubles:
                self._troubles.add(trouble)
                log.warning(otherwise, error=f"{type(error).__name__}: {error}")
            return False
        return True

    def _tidy(self, keys: int) -> None:
        if len(self.now.tail) >= TAIL_KEYS or self._log.size > _LOG_BYTES:
            self._flush()
        for level in self._levels:
            merge = self._levels.merge_some(level, self.now.files, keys)
            if merge is not None:
                self._replace_merged(level, merge)

    def _flush(self) -> None:
        """Begin a new log; what the old one had becomes a file."""
        whole, files = self.now.tail.whole(), self.now.files
        if len(whole):
            file = make_file(self._folder, self._names.new("run"), len(whole), 0)
            fill_file(file, whole)
            shape = msgspec.structs.replace(file.shape, sums=sums_of(file))
            files = (*files, replace(file, shape=shape))
        old, new = self._log, FrameLog(self._folder / self._names.new("log"))
        self._save(files, new)
        self.now, self._log, self._removals = replace(self.now, files=files, tail=Tail()), new, 0
        old.close()
        old.path.unlink(missing_ok=True)

    def _replace_merged(self, level: int, merge: Merge) -> None:
        """Put the result of a merge that is done in the place of what was merged."""
        try:
            result = merge.finish()
        except ValueError as error:
            message = f"{self._folder}: {error}"
            raise DamagedIndexError(message) from error
        files = tuple(run for run in self.now.files if run not in merge.runs)
        if len(result):
            files = (*files, result)
        self._save(files, self._log)
        self._levels.forget(level)
        self.now = replace(self.now, files=files)
        self._remove_unknown()

    def _mark_gone(self, upper: Words, lower: Words, seqs: Words, *, is_summed: bool = False) -> None:
        for run in self.now.tail.runs:
            run.mark_gone(upper, lower, seqs)
        for file in (*self.now.files, *self._levels.results()):
            places, name = file.mark_gone(upper, lower, seqs), file.shape.name
            if len(places) and not is_summed:
                self._marks[name] = joined_sums(self._marks.get(name, 0), marks_sum(places))
            self._levels.note_gone(file, len(places))

    def _marks_of(self, files: Sequence[RunFile]) -> list[int]:
        return [self._marks.get(run.shape.name, 0) for run in files]

    def _save(self, files: Sequence[RunFile], log: FrameLog) -> None:
        """Say which files count from now on, and which log goes on from there."""
        shapes = [run.shape for run in files]
        # The log that is in use says more; these count where it is empty.
        position, count, marks = self.now.position, self.now.count, self._marks_of(files)
        removals = self._removals if log is self._log else 0
        write_manifest(
            self._folder, Manifest(log.path.name, shapes, position, count, self._names.given, marks, removals)
        )

    def _read(self) -> FrameLog:
        """Begin with what the files say; returns the log that is in use."""
        manifest = read_manifest(self._folder)
        self._names.given = manifest.names
        path = self._folder / manifest.log
        files = tuple(map_file(self._folder, shape) for shape in manifest.runs)
        if not path.exists():
            message = f"{path} is missing"
            raise ValueError(message)
        self._marks = {run.shape.name: marks for run, marks in zip(files, manifest.marks, strict=True)}
        newest, added = FrameLog(path), list["Columns"]()
        self.now = Standing(files, Tail(), manifest.position, manifest.count)
        for frame in newest.read():
            tail = self.now.tail
            if frame.kind is FrameKind.REMOVED:
                tail, added = tail.with_more(joined(added)), []
                self.now = replace(self.now, tail=tail)
                self._removals += 1
                self._mark_gone(*frame.columns[:3], is_summed=self._removals <= manifest.removals)
            else:
                added.append(frame.columns)
            self.now = Standing(files, tail, frame.position, frame.count)
        # A quiet ledger's log has a frame for each key or two.
        self.now = replace(self.now, tail=self.now.tail.with_more(joined(added)))
        # Behind the removals: a kill may have come between one's line in the log and its marks.
        for run in files:
            check_file(self._folder, run.shape, self._marks[run.shape.name])
        return newest

    def _remove_unknown(self) -> None:
        """Delete what was merged, and what a merge or a flush that was cut short left behind."""
        runs = (*self.now.files, *self._levels.results())
        known = {MANIFEST, self._log.path.name, *(run.shape.name for run in runs)}
        for path in self._folder.iterdir():
            if path.name not in known:
                path.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
