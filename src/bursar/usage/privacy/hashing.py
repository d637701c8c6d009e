"""Hashes with a tenant's own key: the same for the same value, and nothing to anybody without the key.

A plain hash of a telephone number is found by trying all numbers; with a key of 256 bits that only the vault
has it is not. They are spelled in letters, so that no detector takes one for a number.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING

from bursar.usage.privacy.detectors import DETECTORS, digits_of

if TYPE_CHECKING:
    from collections.abc import Collection

_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
_DIGEST_BYTES = 8
_PHONE_LEAST = 7


class Hasher:
    """Makes them for one tenant."""

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        """By this key (`make_key`)."""
        self._key = key.encode()

    def mark(self, rule: str, value: str) -> str:
        """What takes the place of a value that a rule has found, in the rule's normal spelling."""
        return f"[{rule}:{self._letters(value)}]"

    def fingerprint(self, content: bytes, time: int | None) -> int:
        """64 bits that tell a repeated delivery from a changed one, as `record.fingerprint` does."""
        said = b"event\0%d\0" % (0 if time is None else time)
        return int.from_bytes(self._digest(said + content), "big")

    def pseudonyms(self, identifiers: Collection[str]) -> list[str]:
        """All that may stand for these identifiers where they were hashed."""
        spellings = {form for one in identifiers for form in _spellings(one)}
        return sorted({self._letters(one) for one in spellings})

    def _letters(self, value: str) -> str:
        said = b"value\0" + value.encode("utf-8", "replace")
        return self._digest(said).hex().translate(_LETTERS)

    def _digest(self, said: bytes) -> bytes:
        return hmac.digest(self._key, said, "sha256")[:_DIGEST_BYTES]


def make_key() -> str:
    """A new key."""
    return secrets.token_urlsafe(32)


def _spellings(identifier: str) -> set[str]:
    """As it stands, and as detectors spell what they find."""
    digits = digits_of(identifier)
    forms = {identifier, *(one.normal(identifier) for one in DETECTORS.values())}
    return {one for one in forms if one and (one != digits or len(digits) >= _PHONE_LEAST)} | {identifier}
