"""Identifiers: time-ordered event ids, opaque public ids, and secrets.

An id made here is never guessed from another: ids are random beyond their time part, secrets are
256 random bits.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import uuid
from typing import TYPE_CHECKING

from bursar import clock

if TYPE_CHECKING:
    from datetime import datetime


_AHEAD = 256
_digits_ahead: list[str] = []
"""Random digits for the next public ids; never for secrets, which nothing may hold before their time."""
os.register_at_fork(after_in_child=_digits_ahead.clear)


class EventIds:
    """Makes UUIDv7 event ids (RFC 9562) that sort by time, also within one millisecond."""

    def __init__(self) -> None:
        """Start with no id given out."""
        self._lock = threading.Lock()
        self._last = 0

    def make(self, now: datetime) -> str:
        """A new id, greater than any made before by this maker."""
        millis = clock.to_micros(now) // 1000
        candidate = (millis << 74) | secrets.randbits(74)
        with self._lock:
            self._last = candidate = max(candidate, self._last + 1)
        # 48 bits of time, then version 7, 12 bits, variant 2, 62 bits.
        value = (candidate >> 74) << 80 | 7 << 76
        value |= ((candidate >> 62) & 0xFFF) << 64 | 2 << 62 | candidate & (2**62 - 1)
        return str(uuid.UUID(int=value))


def derived_event_id(idempotency_key: str, index: int) -> str:
    """The id of an item without one: the same (key, index) always gives the same id."""
    digest = hashlib.blake2b(f"{index}\n{idempotency_key}".encode(), digest_size=16)
    return f"idem-{digest.hexdigest()}"


def make_id(prefix: str) -> str:
    """A random public id such as `prj_4f0c…`, 96 bits."""
    try:
        return f"{prefix}_{_digits_ahead.pop()}"
    except IndexError:
        digits = secrets.token_hex(_AHEAD * 12)
        # Asking the system's random source takes 3 µs however much is asked for, and every request has an id.
        _digits_ahead.extend([digits[i : i + 24] for i in range(24, len(digits), 24)])
        return f"{prefix}_{digits[:24]}"


def make_secret(prefix: str) -> str:
    """A secret of 256 random bits such as `bur_…`, safe in a header."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"
