"""Values that are kept as JSON: equal values give equal text, and what is sealed is named by its content.

Cards of events (`card.py`, `rules/card.py`), rows and entries of the book and what tenants agree on are such
values. A field that is added must be left out of the text where it isn't used, or ids of old ones change.
"""

from __future__ import annotations

import hashlib
from typing import Self

import msgspec


def content_hash(content: bytes) -> str:
    """What tells one content from another: 128 bits of BLAKE2b as 32 hex digits."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


class Document(msgspec.Struct, frozen=True):
    """A value that is kept as JSON."""

    def to_json(self) -> str:
        """Canonical JSON: equal values give equal text; decimals are strings."""
        return msgspec.json.encode(self, order="deterministic").decode()

    @classmethod
    def from_json(cls, document: str | bytes) -> Self:
        """The value that `to_json` wrote.

        Raises:
            msgspec.ValidationError: it is none of this kind.
        """
        return msgspec.json.decode(document, type=cls)


class SealedDocument(Document, frozen=True, kw_only=True):
    """A value that is named by its content, and never changes."""

    id: str = ""
    """128 bits of BLAKE2b over the rest, as 32 hex digits."""

    def sealed(self) -> Self:
        """The same with the id that its content gives it."""
        unnamed = msgspec.structs.replace(self, id="")
        return msgspec.structs.replace(self, id=content_hash(unnamed.to_json().encode()))

    @classmethod
    def from_json(cls, document: str | bytes) -> Self:
        """The value that `to_json` wrote.

        Raises:
            ValueError: it is none of this kind, or its content is not what its id says.
        """
        found = super().from_json(document)
        if found.sealed().id != found.id:
            message = f"the content of card {found.id!r} doesn't give that id"
            raise ValueError(message)
        return found
