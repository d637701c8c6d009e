"""Which files of an index count: a small file, whose replacement is each step from one state to the next.

Whatever else lies in the folder was begun and not finished, or was merged; nobody misses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import xxhash

# msgspec reads the types of fields when it runs.
from bursar.storage.keyindex.run import RunShape

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = "runs.json"


class Manifest(msgspec.Struct):
    """Which files count, and how things stood when the log was begun."""

    log: str
    runs: list[RunShape]
    position: int
    count: int
    names: int
    """How many names were given to files."""
    marks: list[int]
    """Of each run, the sum of the marks of its removed keys (`checksums.py`)."""
    removals: int
    """How many removals of the log are in these sums already."""


class FileNames:
    """Gives each file of an index a name of its own, which no other has had."""

    def __init__(self) -> None:
        """None was given yet."""
        self.given: int = 0

    def new(self, kind: str) -> str:
        """The next name, with this ending."""
        self.given += 1
        return f"{self.given:08}.{kind}"


def read_manifest(folder: Path) -> Manifest:
    """What counts in this folder.

    Raises:
        OSError: it can't be read.
        ValueError: it is damaged.
        msgspec.MsgspecError: it isn't what it should be.
    """
    checksum, _, content = (folder / MANIFEST).read_bytes().partition(b"\n")
    if checksum != _checksum(content):
        message = f"{folder / MANIFEST} is damaged"
        raise ValueError(message)
    return msgspec.json.decode(content, type=Manifest)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Let these count from now on; a kill leaves the one from before or this one.

    Raises:
        OSError: it can't be written; then the one from before counts.
    """
    fresh = folder / f"{MANIFEST}.new"
    content = msgspec.json.encode(manifest)
    fresh.write_bytes(_checksum(content) + b"\n" + content)
    fresh.replace(folder / MANIFEST)


def _checksum(content: bytes) -> bytes:
    return xxhash.xxh3_64_hexdigest(content).encode()
