"""One entry in its chain: its number, its exact words, and the hash that binds it to the one before.

The words of an entry are one line of JSON with sorted names; its hash is the SHA-256 of the hash before
and of these words. A chain has a random name of its own, so that a tenant that is deleted and made again
doesn't continue an old one. Whether a chain is whole is judged in `verify.py`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

import msgspec

from bursar import ids
from bursar.identity.audit.deed import Deed

PLATFORM = "*"
"""The owner of the one chain that is no tenant's; no tenant can have this id."""


class Words(msgspec.Struct, frozen=True):
    """Everything that an entry says, its place included."""

    chain: str
    """The chain's own random name."""
    owner: str
    """The tenant whose chain it is, or `PLATFORM`."""
    number: int
    """From 1, without gaps."""
    at: datetime
    deed: Deed


@dataclass(frozen=True, slots=True)
class Entry:
    """Words, and the hash that they end up with in their chain."""

    words: Words
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends, and from where on it is kept."""

    owner: str
    chain: str
    number: int
    """Of its last entry; 0 while there is none."""
    hash: str
    """Of its last entry; the chain's first hash while there is none."""
    trimmed_number: int = 0
    """The last entry that was removed because it was old; 0 where none was."""
    trimmed_hash: str = ""

    @property
    def first_hash(self) -> str:
        """What the first entry that is kept builds upon."""
        return self.trimmed_hash if self.trimmed_number else beginning_of(self.chain)


def new_head(owner: str) -> Head:
    """A chain without entries, under a name of its own."""
    chain = ids.make_id("aud")
    return Head(owner, chain, 0, beginning_of(chain))


def beginning_of(chain: str) -> str:
    """The hash that a chain's first entry builds upon."""
    return hashlib.sha256(f"bursar audit log {chain}".encode()).hexdigest()


def spell(words: Words) -> str:
    """The exact words of an entry, as they are kept and hashed."""
    return msgspec.json.encode(words, order="sorted").decode()


def read_words(spelled: str) -> Words:
    """What exact words say.

    Raises:
        ValueError: they aren't an entry's.
    """
    return msgspec.json.decode(spelled, type=Words)


def hash_of(hash_before: str, spelled: str) -> str:
    """The hash of an entry with these exact words behind the one with that hash; hexadecimal SHA-256."""
    return hashlib.sha256(f"{hash_before}\n{spelled}".encode()).hexdigest()
