"""The file `audit-places` of a data folder: where the audit log's chains ended, as this server wrote them.

One line per entry, added after it is durable in the state store. It lets `bursar audit verify` find a tail
that was cut off in the store, or written anew. It isn't a proof against somebody who may change both;
the server's log says the same once more.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING

import msgspec
import structlog

from bursar.identity.audit.store import Remembered
from bursar.storage.durable_files import write_all, write_durably

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

COMPACTED_BYTES = 2**20
"""Size at which only the last line of each chain is kept; some 5,000 lines."""

log = structlog.get_logger()


class AuditPlaces:
    """Remembers places in one file; safe to use from any thread of the process that holds the folder."""

    def __init__(self, path: Path) -> None:
        """Remember in the file at this path, which need not exist."""
        self._path = path
        self._lock = Lock()

    def remember(self, place: Remembered) -> None:
        """See `Witness.remember`."""
        line = msgspec.json.encode(place) + b"\n"
        try:
            with self._lock:
                if self._append(line) > COMPACTED_BYTES:
                    self._compact()
        except OSError as error:
            log.warning("the end of the audit log could not be written beside it", error=str(error))

    def remembered(self) -> list[Remembered]:
        """See `Witness.remembered`."""
        with self._lock:
            return self._read()

    def _append(self, line: bytes) -> int:
        """The file's size afterwards. A line that was cut short by a crash is ended first."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            write_all(descriptor, b"\n" + line if is_torn else line)
            return size + len(line)
        finally:
            os.close(descriptor)

    def _compact(self) -> None:
        write_durably(self._path, b"".join(msgspec.json.encode(one) + b"\n" for one in self._read()))

    def _read(self) -> list[Remembered]:
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        return _latest(lines)


def _latest(lines: Iterable[bytes]) -> list[Remembered]:
    """The highest place of each chain; threads may have written theirs in another order."""
    latest: dict[str, Remembered] = {}
    for line in lines:
        try:
            place = msgspec.json.decode(line, type=Remembered)
        except msgspec.DecodeError:
            continue
        if place.chain not in latest or place.number > latest[place.chain].number:
            latest[place.chain] = place
    return list(latest.values())
