"""The journal's files: one folder of segments named by their first seq, and the journal's identity.

A segment starts with one line that names the journal and says how much of the segment before it is
valid. That matters after a failed `fdatasync`: what was written past the last good mark may or may
not be on disk and was never acknowledged, so every reader stops at the length recorded here.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from bursar.errors import ConfigurationError, NewerFormat
from bursar.storage.durable_files import write_durably

if TYPE_CHECKING:
    from pathlib import Path

JOURNAL_VERSION = 1
_MAGIC = b"~S1 "
_SUFFIX = ".journal"


class SegmentHeader(msgspec.Struct, frozen=True):
    """The first line of a segment."""

    format: int
    journal_id: str
    first_seq: int
    previous: str | None = None
    """File name of the segment before, if there is one."""
    previous_length: int | None = None
    """How many bytes of it are valid."""


class JournalIdentity(msgspec.Struct, frozen=True):
    """Which journal this is; positions of different journals can't be compared."""

    format: int
    journal_id: str


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment file whose header could be read."""

    path: Path
    header: SegmentHeader
    data_start: int
    """Offset of the first frame."""
    valid_length: int | None
    """Where readers must stop, once a later segment says so."""


def segment_name(first_seq: int) -> str:
    """The file name of the segment that starts with this seq; names sort like seqs."""
    return f"{first_seq:020d}{_SUFFIX}"


def load_identity(folder: Path) -> JournalIdentity:
    """The identity of the journal in this folder, made on first use.

    Raises:
        NewerFormat: a newer Bursar wrote it.
        ConfigurationError: its file can't be read.
    """
    path = folder / "IDENTITY"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        identity = JournalIdentity(format=JOURNAL_VERSION, journal_id=secrets.token_hex(8))
        write_durably(path, msgspec.json.encode(identity) + b"\n")
        return identity
    try:
        identity = msgspec.json.decode(path.read_bytes(), type=JournalIdentity)
    except msgspec.DecodeError as error:
        message = f"{path} can't be read: {error}. Restore it from a backup."
        raise ConfigurationError(message) from error
    if identity.format > JOURNAL_VERSION:
        message = f"{path} has format {identity.format}; this Bursar reads up to {JOURNAL_VERSION}."
        raise NewerFormat(message)
    return identity


def encode_segment_header(header: SegmentHeader) -> bytes:
    """The first line of a segment file."""
    return _MAGIC + msgspec.json.encode(header) + b"\n"


def read_segment_header(path: Path) -> tuple[SegmentHeader, int] | None:
    """The header and its length in bytes, or None where the file doesn't start with a whole one."""
    with path.open("rb") as file:
        line = file.readline(4096)
    if not line.startswith(_MAGIC) or not line.endswith(b"\n"):
        return None
    try:
        return msgspec.json.decode(line[len(_MAGIC) :], type=SegmentHeader), len(line)
    except msgspec.DecodeError:
        return None


def segment_paths(folder: Path) -> list[Path]:
    """The segment files in order of their first seq."""
    return sorted(folder.glob(f"*{_SUFFIX}"))


def load_segments(folder: Path) -> list[Segment]:
    """Every segment in order, each with the length that its successor vouches for.

    Raises:
        ConfigurationError: a segment's first line is damaged, or a segment is missing or foreign.
    """
    loaded: list[Segment] = []
    for path in segment_paths(folder):
        found = read_segment_header(path)
        if found is None:
            message = f"Journal segment {path} is damaged in its first line; restore it from a backup."
            raise ConfigurationError(message)
        header, data_start = found
        if loaded:
            loaded[-1] = _limited_by(loaded[-1], header, path)
        loaded.append(Segment(path, header, data_start, None))
    return loaded


def _limited_by(earlier: Segment, header: SegmentHeader, path: Path) -> Segment:
    if header.previous != earlier.path.name or header.journal_id != earlier.header.journal_id:
        message = (
            f"Journal segment {path} follows {header.previous}, but {earlier.path.name} is there:"
            " a segment is missing or belongs to another journal."
        )
        raise ConfigurationError(message)
    return Segment(earlier.path, earlier.header, earlier.data_start, header.previous_length)
