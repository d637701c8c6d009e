"""Words that a run needs and nobody may keep: sealed in the state store, openable in the data folder alone.

A sealed text is the words combined with a pad of random bytes as long as they are; the pad is a file of
the data folder. Either half alone is noise: a copy of the state store, a backup of it, its free pages say
nothing, and once the pad is destroyed neither does the store itself.
"""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

import msgspec

from bursar import ids
from bursar.errors import Unavailable
from bursar.storage.durable_files import sync_folder, write_durably

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

BLOCK_BYTES = 256
"""Sealed texts are multiples of this long, so that their length tells little."""


class Sealed(msgspec.Struct):
    """Words under seal, as a run's parameters have them."""

    pad: str
    """Name of the pad."""
    text: str
    """The words combined with it, in base64."""


class Seals:
    """Seals words with pads in one folder; use from any thread."""

    def __init__(self, folder: Path) -> None:
        """Keep pads in this folder, which is made with the first one."""
        self._folder = folder

    def seal(self, words: Sequence[str]) -> dict[str, str]:
        """Words under seal; their pad is on disk when this returns."""
        plain = msgspec.json.encode(list(words))
        plain = plain.ljust(-(-len(plain) // BLOCK_BYTES) * BLOCK_BYTES)
        pad, name = os.urandom(len(plain)), ids.make_id("pad")
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_durably(self._folder / name, pad)
        sync_folder(self._folder.parent)
        return {"pad": name, "text": base64.b64encode(_combined(plain, pad)).decode()}

    def open(self, sealed: Mapping[str, str]) -> list[str]:
        """The words.

        Raises:
            Unavailable: their pad isn't in this folder (any more).
        """
        found = msgspec.convert(dict(sealed), Sealed)
        try:
            pad = (self._folder / found.pad).read_bytes()
        except FileNotFoundError:
            message = "What was asked for is sealed and can't be opened in this data folder; ask again."
            raise Unavailable(message) from None
        return msgspec.json.decode(_combined(base64.b64decode(found.text), pad), type=list[str])

    def destroy(self, sealed: Mapping[str, str]) -> None:
        """Let nobody open the seal any more; twice is harmless."""
        (self._folder / msgspec.convert(dict(sealed), Sealed).pad).unlink(missing_ok=True)
        if self._folder.exists():
            sync_folder(self._folder)

    def keep_only(self, pads: Collection[str]) -> None:
        """Destroy every pad but these; only while nobody seals."""
        if self._folder.exists():
            for path in self._folder.iterdir():
                if path.name not in pads:
                    path.unlink()
            sync_folder(self._folder)


def _combined(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
