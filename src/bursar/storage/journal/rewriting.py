"""Replaces records in the archive: what must be gone becomes a tombstone, what must change is changed.

Every archived segment is gone through line by line. One that has nothing to change keeps its file; of
the others a new file is written, with every record at its position and runs of tombstones in frames of
their own. All new files come into force with one rename of the manifest, and only then the old ones go,
so that nobody ever sees a mix. An interrupted rewrite changes nothing: its files are removed at once,
or at the next start. It needs room for what it replaces, and the memory of one frame.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from bursar.storage.journal.archiving import told_by_name
from bursar.storage.journal.content import ContentWriter, walk_frames
from bursar.storage.journal.frame import HEADER_BYTES, FrameKind, encode_frame
from bursar.storage.journal.holding import PATIENCE_SECONDS, change_archive, when_not_held
from bursar.storage.journal.identity import JOURNAL_VERSION
from bursar.storage.journal.leftovers import discard, remove_leftovers, remove_unneeded
from bursar.storage.journal.manifest import (
    ArchivedSegment,
    Manifest,
    archive_folder,
    archive_name,
    load_manifest,
    save_manifest,
)
from bursar.storage.journal.segments import Segment, encode_segment_header, from_archive
from bursar.usage.changes import TOMBSTONE
from bursar.usage.record import USAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bursar.storage.journal.frame import FrameHeader
    from bursar.storage.journal.holding import Progress

    Decide = Callable[[int, bytes], bytes | None]

_COPY_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteReport:
    """What a rewrite did."""

    files: int = 0
    """Gone through."""
    last_seq: int = 0
    """Up to where records were archived and gone through; what lies behind is still plain."""
    rewritten_files: int = 0
    changed: int = 0
    """Records that are another line now, tombstones included."""
    tombstones: int = 0
    """Records that are tombstones now and weren't before."""
    stored_bytes: int = 0
    """Of the rewritten files, as they are now."""


class _NewLine(msgspec.Struct):
    seq: int
    kind: str


class _OldLine(msgspec.Struct):
    kind: object = "unknown"


_read_new = msgspec.json.Decoder(_NewLine).decode
_read_old = msgspec.json.Decoder(_OldLine).decode


def rewrite(
    journal: Path,
    decide: Decide,
    through_seq: int,
    progress: Progress,
    patience_seconds: float = PATIENCE_SECONDS,
) -> RewriteReport:
    """Ask `decide` about every archived record up to `through_seq`, and bring its answers into force at once.

    `decide(seq, line)` gets a record's line without its newline, in order, and returns the new line (with
    the same `seq`; of kind `tombstone` where the record must be gone) or None to keep it. Call it from a
    worker thread; what `progress` or `decide` raises stops the rewrite without a trace. Before the end it
    waits up to `patience_seconds` until nobody holds the archive.

    Raises:
        Conflict: another job is changing the archive.
        DiskFull, Unavailable: the disk is full or fails, or the archive was held all the time.
        ConfigurationError: an archived file is missing or damaged.
        ValueError: `decide` returned a line of another seq, or more than one line.
    """
    if not archive_folder(journal).exists():
        return RewriteReport()
    remove_leftovers(journal)
    with told_by_name(), change_archive(journal):
        manifest = load_manifest(journal)
        todo = [entry for entry in manifest.files if entry.first_seq <= through_seq]
        work = _Rewrite(journal, decide, through_seq, manifest.generation + 1)
        try:
            work.go_through_all(todo, progress)
            if work.replaced:
                with when_not_held(journal, progress, patience_seconds):
                    save_manifest(journal, work.apply_to(manifest))
                    remove_unneeded(journal)
        except BaseException:
            work.undo(manifest)
            raise
    return work.report(todo)


class _Rewrite:
    """One rewrite as far as it is: which files were written, what was counted."""

    def __init__(self, journal: Path, decide: Decide, through_seq: int, generation: int) -> None:
        self.replaced: dict[str, ArchivedSegment] = {}
        """By segment."""
        self.changed = 0
        self.tombstones = 0
        self._journal = journal
        self._decide = decide
        self._through_seq = through_seq
        self._generation = generation

    def go_through_all(self, todo: Sequence[ArchivedSegment], progress: Progress) -> None:
        """Write new files for those segments in which anything changes."""
        for done, entry in enumerate(todo):
            progress("rewriting the archive", done, len(todo))
            self.go_through(entry)
        progress("rewriting the archive", len(todo), len(todo))

    def go_through(self, entry: ArchivedSegment) -> None:
        """Write a new file for this segment, if anything in it changes."""
        segment = from_archive(self._journal, entry)
        content = segment.open_surely()
        writer: ContentWriter | None = None
        kinds = Counter(entry.records)
        offset = entry.data_start
        try:
            for line, header, payload in walk_frames(content, segment.path, offset, entry.raw_bytes):
                frames = self._recut(header, payload, kinds)
                if frames is not None and writer is None:
                    writer = self._begin(segment, offset)
                if writer is not None:
                    writer.write(line + payload if frames is None else frames)
                offset += HEADER_BYTES + len(payload)
            if writer is not None:
                self.replaced[entry.segment] = self._finish(writer, entry, kinds)
        except BaseException:
            if writer is not None:
                writer.discard()
            raise
        finally:
            content.close()

    def apply_to(self, manifest: Manifest) -> Manifest:
        """The manifest with the new files in place of the old ones."""
        files = tuple(self.replaced.get(entry.segment, entry) for entry in manifest.files)
        return msgspec.structs.replace(manifest, generation=self._generation, files=files)

    def undo(self, manifest: Manifest) -> None:
        """Remove the new files, unless the manifest that names them is in force already."""
        if load_manifest(self._journal).generation == manifest.generation:
            folder = archive_folder(self._journal)
            discard(folder / entry.name for entry in self.replaced.values())

    def report(self, todo: Sequence[ArchivedSegment]) -> RewriteReport:
        """What became of the segments."""
        return RewriteReport(
            files=len(todo),
            last_seq=min(self._through_seq, todo[-1].last_seq) if todo else 0,
            rewritten_files=len(self.replaced),
            changed=self.changed,
            tombstones=self.tombstones,
            stored_bytes=sum(entry.stored_bytes for entry in self.replaced.values()),
        )

    def _begin(self, segment: Segment, offset: int) -> ContentWriter:
        """A new file with everything that comes before `offset`, which stays as it is."""
        writer = ContentWriter(
            archive_folder(self._journal) / archive_name(segment.header.first_seq, self._generation)
        )
        content = segment.open_surely()
        try:
            writer.write(_header_of(segment))
            left = offset - content.seek(segment.data_start)
            while left > 0:
                chunk = content.read(min(left, _COPY_BYTES))
                writer.write(chunk)
                left -= len(chunk)
        except BaseException:
            writer.discard()
            raise
        finally:
            content.close()
        return writer

    def _finish(self, writer: ContentWriter, entry: ArchivedSegment, kinds: Counter[str]) -> ArchivedSegment:
        stored_bytes, digest = writer.finish()
        return msgspec.structs.replace(
            entry,
            name=writer.path.name,
            format=JOURNAL_VERSION,
            records={kind: count for kind, count in kinds.items() if count},
            data_start=len(_header_of(from_archive(self._journal, entry))),
            raw_bytes=writer.raw_bytes,
            stored_bytes=stored_bytes,
            content_xxh3=digest,
            generation=self._generation,
        )

    def _recut(self, header: FrameHeader, payload: bytes, kinds: Counter[str]) -> bytes | None:
        """The frame's records in frames by kind, once any of them changed; None where all stay."""
        lines = payload.split(b"\n")[:-1]
        decided = [(header.kind, line) for line in lines]
        touched = False
        for place, line in enumerate(lines[: max(0, self._through_seq - header.first_seq + 1)]):
            new = self._decide(header.first_seq + place, line)
            if new is not None and new != line:
                found = _check_line(new, header.first_seq + place)
                self._count(kinds, _kind_of(header, line), found.kind)
                decided[place] = (_frame_kind(header, found.kind), new)
                touched = True
        if not touched:
            return None
        frames: list[bytes] = []
        seq = header.first_seq
        for kind, run in groupby(decided, key=lambda one: one[0]):
            records = [line for _, line in run]
            frames.append(encode_frame(seq, len(records), kind, b"\n".join(records) + b"\n"))
            seq += len(records)
        return b"".join(frames)

    def _count(self, kinds: Counter[str], before: str, now: str) -> None:
        kinds[before] -= 1
        kinds[now] += 1
        self.changed += 1
        self.tombstones += now == TOMBSTONE != before


def _header_of(segment: Segment) -> bytes:
    """The first line of a rewritten segment: the same, but of today's format."""
    return encode_segment_header(msgspec.structs.replace(segment.header, format=JOURNAL_VERSION))


def _check_line(line: bytes, seq: int) -> _NewLine:
    found = _read_new(line)
    if found.seq != seq or b"\n" in line:
        message = f"The new record for seq {seq} is not one line with this seq: {line[:100]!r}."
        raise ValueError(message)
    return found


def _kind_of(header: FrameHeader, line: bytes) -> str:
    """The kind of a record as the manifest counted it."""
    if header.kind is FrameKind.USAGE:
        return USAGE
    try:
        return str(_read_old(line).kind)
    except msgspec.DecodeError:
        return "unreadable"


def _frame_kind(header: FrameHeader, kind: str) -> FrameKind:
    """In which frame a changed record belongs."""
    if kind == TOMBSTONE:
        return FrameKind.TOMBSTONE
    return FrameKind.USAGE if kind == USAGE and header.kind is FrameKind.USAGE else FrameKind.OTHER
