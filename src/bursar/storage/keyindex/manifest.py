"""Which files of an index count: a small file, whose replacement is each step from one state to the next.

Whatever else lies in the folder was begun and not finished, or was merged; nobody misses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

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


def read_manifest(folder: Path) -> Manifest:
    """What counts in this folder.

    Raises:
        OSError: it can't be read.
        msgspec.MsgspecError: it isn't what it should be.
    """
    return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Let these count from now on; a kill leaves the one from before or this one.

    Raises:
        OSError: it can't be written; then the one from before counts.
    """
    fresh = folder / f"{MANIFEST}.new"
    fresh.write_bytes(msgspec.json.encode(manifest))
    fresh.replace(folder / MANIFEST)
