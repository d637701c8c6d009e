"""Which journal this is, and which journals it continues after a restore.

Positions of different journals can't be compared, so a restored one goes on under an id of its own and
keeps the ids before it as its lineage: segments and positions of those are still its own past, up to
the seq where it left them. The files themselves are in `segments.py` and `manifest.py`.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec

from bursar.errors import ConfigurationError, NewerFormat
from bursar.storage.durable_files import write_durably

if TYPE_CHECKING:
    from pathlib import Path

JOURNAL_VERSION = 2
"""1 had no archive, no tombstone frames and no lineage; it is read as it is."""


class Ancestor(msgspec.Struct, frozen=True):
    """A journal that this one continues."""

    journal_id: str
    last_seq: int
    """The last seq of it that is part of this journal."""


class JournalIdentity(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which journal this is; positions of different journals can't be compared."""

    format: int
    journal_id: str
    lineage: tuple[Ancestor, ...] = ()
    """The journals before it, oldest first."""

    def covers(self, journal_id: str, seq: int) -> bool:
        """Whether this position of that journal is part of this one's past, as far as ids can say."""
        return journal_id == self.journal_id or any(
            before.journal_id == journal_id and seq <= before.last_seq for before in self.lineage
        )

    def generation_of(self, journal_id: str) -> int | None:
        """How many ancestors that journal has here; None where it isn't one of ours."""
        ids = [*(before.journal_id for before in self.lineage), self.journal_id]
        return ids.index(journal_id) if journal_id in ids else None

    def descendant(self, last_seq: int) -> JournalIdentity:
        """A new identity that continues this journal behind `last_seq`."""
        lineage = (*self.lineage, Ancestor(self.journal_id, last_seq))
        return JournalIdentity(JOURNAL_VERSION, secrets.token_hex(8), lineage)


def read_identity(folder: Path) -> JournalIdentity | None:
    """The identity of the journal in this folder; None where there is none yet.

    Raises:
        NewerFormat: a newer Bursar wrote it.
        ConfigurationError: its file can't be read.
    """
    path = folder / "IDENTITY"
    try:
        identity = msgspec.json.decode(path.read_bytes(), type=JournalIdentity)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        message = f"{path} can't be read: {error}. Restore it from a backup."
        raise ConfigurationError(message) from error
    if identity.format > JOURNAL_VERSION:
        message = f"{path} has format {identity.format}; this Bursar reads up to {JOURNAL_VERSION}."
        raise NewerFormat(message)
    return identity


def claim_identity(folder: Path) -> JournalIdentity:
    """The identity under which this Bursar writes: made on first use, of today's format from now on.

    An older Bursar must not write behind newer segments, or overlook the archive, so it is told here.

    Raises:
        NewerFormat: a newer Bursar wrote it.
        ConfigurationError: its file can't be read.
    """
    found = read_identity(folder)
    if found is not None and found.format == JOURNAL_VERSION:
        return found
    if found is None:
        folder.mkdir(parents=True, exist_ok=True)
        return write_identity(folder, JournalIdentity(JOURNAL_VERSION, secrets.token_hex(8)))
    return write_identity(folder, JournalIdentity(JOURNAL_VERSION, found.journal_id, found.lineage))


def write_identity(folder: Path, identity: JournalIdentity) -> JournalIdentity:
    """Make this the journal's identity, durably."""
    write_durably(folder / "IDENTITY", msgspec.json.encode(identity) + b"\n")
    return identity
