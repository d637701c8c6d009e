"""From where a request comes: the peer's address, or what a trusted proxy says of whom it speaks for.

`X-Forwarded-For` is read from the right, as long as each hop is a proxy of `BURSAR_TRUSTED_PROXIES`; the
first that isn't one is the client, whatever stands further left, for that was written by the client itself.
`X-Forwarded-Proto` counts from a trusted peer only. `Forwarded` (RFC 7239) is not read at all: a proxy that
sets one of the two passes the other on as the client sent it, so that only one may ever count. uvicorn's own
reading of these headers is off.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope

    from bursar.settings.networks import Network

SENDER_MARK = "bursar.sender"
"""Key of the ASGI scope under which `Proxies.mark` leaves what it found."""
Address = IPv4Address | IPv6Address
_REMEMBERED = 4_096
"""Addresses read lately; reading one takes some microseconds."""
_HOPS_LIMIT = 32
"""No chain of proxies is as long; further hops are not looked at."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Where a request comes from."""

    address: str | None
    """Normal form of the client's IP address; None for the socket in the data folder."""
    is_secure: bool
    """Whether the client's own connection is encrypted."""


class Proxies:
    """The proxies in front of this server."""

    def __init__(self, trusted: tuple[Network, ...] = ()) -> None:
        """Without any, no header counts."""
        self._trusted = trusted

    def mark(self, scope: Scope) -> Sender:
        """Find out where a request comes from, and leave it in its scope for `client_address`."""
        sender: Sender | None = scope.get(SENDER_MARK)
        if sender is None:
            sender = scope[SENDER_MARK] = self._sender_of(scope)
        return sender

    def _sender_of(self, scope: Scope) -> Sender:
        client: tuple[str, int] | None = scope.get("client")
        is_secure = scope.get("scheme") == "https"
        if client and not self._trusted and ":" not in client[0]:
            # What nearly every request is; the kernel writes addresses in their normal form.
            return _plain_sender(client[0], is_secure)
        peer = _address_of(client[0]) if client else None
        if peer is None:
            return Sender(None, is_secure)
        if not self._trusts(peer):
            return Sender(str(peer), is_secure)
        address = str(self._first_untrusted(peer, scope))
        return Sender(address, _forwarded_secure(scope, is_secure=is_secure))

    def _first_untrusted(self, peer: Address, scope: Scope) -> Address:
        """The nearest address that is no proxy of ours; where all are, the farthest that can be read."""
        nearest = peer
        for hop in reversed(_values(scope, b"x-forwarded-for")[-_HOPS_LIMIT:]):
            address = _address_of(_without_port(hop))
            if address is None:
                break
            nearest = address
            if not self._trusts(address):
                break
        return nearest

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


@lru_cache(_REMEMBERED)
def _plain_sender(address: str, is_secure: bool) -> Sender:  # noqa: FBT001 - a cache's key
    return Sender(address, is_secure)


def client_address(scope: Scope) -> str | None:
    """The client's IP address, of a request that `Proxies.mark` has seen; None for the folder's socket."""
    sender: Sender | None = scope.get(SENDER_MARK)
    return None if sender is None else sender.address


def is_secure(scope: Scope) -> bool:
    """Whether the client speaks TLS, to us or to a trusted proxy; of a request `Proxies.mark` has seen."""
    sender: Sender | None = scope.get(SENDER_MARK)
    return sender is not None and sender.is_secure


@lru_cache(_REMEMBERED)
def _address_of(text: str) -> Address | None:
    """The address in its normal form: an IPv4 client of a socket for both kinds is an IPv4 address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _without_port(hop: str) -> str:
    """Some proxies write `[2001:db8::1]:4711` or `192.0.2.1:4711`."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _values(scope: Scope, wanted: bytes) -> list[str]:
    """The items of a header that is a list, in order, over all of its lines."""
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]
    return [item.strip() for line in lines for item in line.split(",")]


def _forwarded_secure(scope: Scope, *, is_secure: bool) -> bool:
    schemes = _values(scope, b"x-forwarded-proto")
    # The last one is the nearest proxy's own word.
    return schemes[-1].lower() == "https" if schemes else is_secure
