"""The content of segments, plain or archived: read forwards, written compressed, never whole in memory.

Archived content is one zstd frame. Level 1 was measured best on 90,000 records of the benchmark's
events (729 bytes each): 96 bytes and 775 MB/s of CPU, against 106 and 441 at level 3 and 93 and 86 at
level 9. A dictionary or long-distance matching won nothing, since a segment is long enough to learn
from; reading back runs at about 1 GB/s whatever the level.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import xxhash
import zstandard

from bursar.errors import ConfigurationError
from bursar.storage.durable_files import sync_folder
from bursar.storage.journal.frame import HEADER_BYTES, FrameHeader, decode_header, is_intact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bursar.storage.journal.manifest import ArchivedSegment

LEVEL = 1
"""See the module's measurement."""
_CHUNK = 2**20


class Content(Protocol):
    """A segment's bytes, read forwards."""

    def read(self, size: int, /) -> bytes:
        """As many bytes, fewer only at the end."""
        ...

    def seek(self, offset: int, /) -> int:
        """Go on reading at this offset, which lies ahead."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class ArchivedContent:
    """An archived segment's content, decompressed while it is read."""

    def __init__(self, path: Path) -> None:
        """Open the file; FileNotFoundError where it is gone."""
        self._path = path
        self._file = path.open("rb")
        self._stream = zstandard.ZstdDecompressor().stream_reader(self._file, closefd=False)
        self._offset = 0

    def read(self, size: int, /) -> bytes:
        """As many bytes, fewer only at the end of the content."""
        try:
            content = self._stream.read(size)
        except zstandard.ZstdError as error:
            raise damaged(self._path, f"at byte {self._offset} of its content, or soon behind") from error
        self._offset += len(content)
        return content

    def seek(self, offset: int, /) -> int:
        """Skip to an offset that lies ahead; what is skipped is decompressed."""
        while self._offset < offset:
            if not self.read(min(_CHUNK, offset - self._offset)):
                raise damaged(self._path, f"at its end: its content has {self._offset} bytes only")
        return self._offset

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class ContentWriter:
    """Writes a new archived file; it exists for nobody until a manifest names it."""

    def __init__(self, path: Path) -> None:
        """Begin the file; one that an interrupted attempt left under this name is overwritten."""
        self.path = path
        self.raw_bytes = 0
        self._digest = xxhash.xxh3_128()
        self._file = path.open("wb")
        os.fchmod(self._file.fileno(), 0o600)
        compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        self._stream = compressor.stream_writer(self._file, closefd=False)

    def write(self, content: bytes) -> None:
        """Add content."""
        self._stream.write(content)
        self._digest.update(content)
        self.raw_bytes += len(content)

    def finish(self) -> tuple[int, str]:
        """Make the file durable and prove that it reads back; returns its size and the content's XXH3-128.

        Raises:
            ConfigurationError: it doesn't read back as it was written: disk or memory is at fault.
        """
        self._stream.flush(zstandard.FLUSH_FRAME)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        sync_folder(self.path.parent)
        expected = self._digest.hexdigest()
        if content_digest(self.path) != (self.raw_bytes, expected):
            raise damaged(self.path, "as soon as it was written: it doesn't read back the same")
        return self.path.stat().st_size, expected

    def discard(self) -> None:
        """Close and remove the file, in whatever state it is."""
        # On a full disk closing fails as writing did, for what still waits in memory.
        with suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)


def content_digest(path: Path) -> tuple[int, str]:
    """Length and XXH3-128 of an archived file's content."""
    content = ArchivedContent(path)
    digest = xxhash.xxh3_128()
    length = 0
    try:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            length += len(chunk)
    finally:
        content.close()
    return length, digest.hexdigest()


def check_content(path: Path, entry: ArchivedSegment) -> None:
    """Compare an archived file with the manifest, to the last byte.

    Raises:
        ConfigurationError: it is missing, damaged or another file.
    """
    try:
        found = content_digest(path)
    except FileNotFoundError:
        raise missing(path) from None
    if found != (entry.raw_bytes, entry.content_xxh3):
        raise damaged(path, "or foreign: its content is not what the manifest says")


def walk_frames(
    content: Content, path: Path, start: int, end: int
) -> Iterator[tuple[bytes, FrameHeader, bytes]]:
    """Every frame from `start` to `end`: its header as it stands there, read, and its payload.

    Raises:
        ConfigurationError: a frame is damaged.
    """
    offset = content.seek(start)
    while offset < end:
        line = content.read(HEADER_BYTES)
        header = decode_header(line)
        payload = content.read(header.length) if header else b""
        if header is None or not is_intact(line, header, payload):
            raise damaged(path, f"at byte {offset}")
        offset += HEADER_BYTES + header.length
        yield line, header, payload


def damaged(path: Path, where: str) -> ConfigurationError:
    """The error for a segment whose content is wrong; it names the file and what to do."""
    message = f"Journal segment {path} is damaged {where}. Restore it from a backup; nothing was changed."
    return ConfigurationError(message)


def missing(path: Path) -> ConfigurationError:
    """The error for a file that the manifest names."""
    message = f"Archived segment {path} is missing. Restore this file from a backup; nothing was changed."
    return ConfigurationError(message)
