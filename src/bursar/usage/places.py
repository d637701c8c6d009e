"""Places in the journal as a tenant is shown them: numbers that lead back, and tell nothing of other tenants.

All tenants write into one journal. Its own places in it, as they are, would tell a tenant how much the others
write. So cursors, the ids of quarantined records and the moments of exports carry places behind a veil: a
permutation of the whole numbers below 2**52 (which every reader of JSON takes exactly), another one for each
tenant and each secret of an installation. Who doesn't know the secret can't tell a late place from an early
one; with another secret the numbers of before lead nowhere.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

_HALF_BITS = 26
_HALF = (1 << _HALF_BITS) - 1
LIMIT = 1 << 2 * _HALF_BITS
"""More records than a journal ever has: a million in each second for 140 years."""
_ROUNDS = 4
"""Of a Feistel network: as many as make it a pseudorandom permutation (Luby and Rackoff, 1988)."""


@dataclass(frozen=True, slots=True)
class Places:
    """How one tenant's places are shown; without a key as they are."""

    key: bytes = field(default=b"", repr=False)

    def show(self, place: int) -> int:
        """The number that stands for a place."""
        if not self.key or not 0 <= place < LIMIT:
            return place
        left, right = place >> _HALF_BITS, place & _HALF
        for number in range(_ROUNDS):
            left, right = right, left ^ self._mixed(number, right)
        return left << _HALF_BITS | right

    def find(self, shown: int) -> int:
        """The place that a shown number stands for; of one that was never shown any or none."""
        if not self.key or not 0 <= shown < LIMIT:
            return shown
        left, right = shown >> _HALF_BITS, shown & _HALF
        for number in reversed(range(_ROUNDS)):
            left, right = right ^ self._mixed(number, left), left
        return left << _HALF_BITS | right

    def _mixed(self, number: int, half: int) -> int:
        said = b"%d %d" % (number, half)
        return int.from_bytes(hashlib.blake2b(said, key=self.key, digest_size=4).digest()) & _HALF


AS_THEY_ARE = Places()
"""For questions that are answered to nobody but the ledger itself."""


@dataclass(frozen=True, slots=True)
class Veil:
    """Shows every tenant its places."""

    secret: bytes = field(repr=False)
    """At most 64 bytes."""

    def of(self, tenant_id: str) -> Places:
        """How this tenant's places are shown."""
        said = f"places of {tenant_id}".encode()
        return Places(hashlib.blake2b(said, key=self.secret, digest_size=16).digest())
