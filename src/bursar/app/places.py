"""Places for connections, or for requests at work, shared so that no single address fills them all up.

While less than half of the places are taken anybody may have as many as they want. Beyond, an address (an
IPv6 network of 2**64) that has a quarter of them gets no more. Trusted proxies speak for many and may have
as many as they want. That all places together are bounded is the part of whoever
has them: of uvicorn for connections, of `middleware.py` for requests.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bursar.settings.networks import Network

_REMEMBERED = 4_096


class Places:
    """Who has how many connections. Use from the event loop."""

    def __init__(self, limit: int, trusted: tuple[Network, ...] = ()) -> None:
        """`limit` is how many there are."""
        self._limit = limit
        self._trusted = trusted
        self._taken = 0
        self._by_owner: dict[str, int] = {}

    def take(self, address: str | None) -> bool:
        """Take a place for a connection from there; False where that address has enough of them."""
        owner = _owner_of(address)
        own = self._by_owner.get(owner, 0)
        if self._taken >= self._limit // 2 and own >= self._limit // 4 and not self._is_trusted(address):
            return False
        self._by_owner[owner] = own + 1
        self._taken += 1
        return True

    def leave(self, address: str | None) -> None:
        """Give the place back."""
        owner = _owner_of(address)
        self._taken -= 1
        self._by_owner[owner] -= 1
        if not self._by_owner[owner]:
            del self._by_owner[owner]

    def __len__(self) -> int:
        """How many are taken."""
        return self._taken

    def _is_trusted(self, address: str | None) -> bool:
        if address is None or not self._trusted:
            return False
        known = ip_address(address.partition("%")[0])
        known = getattr(known, "ipv4_mapped", None) or known
        return any(known in network for network in self._trusted)


@lru_cache(_REMEMBERED)
def _owner_of(address: str | None) -> str:
    if address is None:
        return ""
    known = ip_address(address.partition("%")[0])
    if not isinstance(known, IPv6Address):
        return address
    mapped = known.ipv4_mapped
    return str(IPv6Network((int(known), 64), strict=False)) if mapped is None else str(mapped)
