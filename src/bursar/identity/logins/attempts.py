"""Wrong passwords: after how many of them logging in is refused for a while. Pure; `store.py` keeps counts.

What counts is the address that was typed, whether or not anybody has it: neither an answer nor the time that
it takes tells whether there is such a user. An attempt is counted before its password is looked at, and
uncounted when that is right, so that many at the same moment count one by one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

FREE_ATTEMPTS = 5
"""Wrong passwords in a row before the first wait."""
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
"""Waits double up to it: some 30 guesses in a day, against one address."""
FORGOTTEN_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class AttemptKey:
    """Whose attempts are counted together."""

    tenant_id: str
    digest: str
    """Of the address: what people type there by mistake may be a password, so it isn't kept."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """Wrong passwords in a row for one address."""

    count: int
    last_at: datetime
    locked_until: datetime | None = None

    def is_locked(self, now: datetime) -> bool:
        """Whether the next attempt comes too early."""
        return self.locked_until is not None and now < self.locked_until


def attempt_key(tenant_id: str, email: str) -> AttemptKey:
    """Whose attempts they are, by the address as `normal_email` writes it."""
    digest = hashlib.sha256(f"{tenant_id}\n{email}".encode("utf-8", "surrogatepass")).hexdigest()
    return AttemptKey(tenant_id, digest)


def next_attempts(before: Attempts | None, now: datetime) -> Attempts:
    """The count with one more attempt that fails, and the wait that it brings."""
    count = 1 if before is None or now - before.last_at > FORGOTTEN_AFTER else before.count + 1
    if count < FREE_ATTEMPTS:
        return Attempts(count, now)
    doublings = min(count - FREE_ATTEMPTS, 16)
    return Attempts(count, now, now + min(FIRST_WAIT * 2**doublings, LONGEST_WAIT))
