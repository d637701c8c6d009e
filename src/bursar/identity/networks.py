"""From which networks a key counts: CIDR lists, in normal form, and whether an address is within one.

Pure. Who finds out the client's address, trusted proxies and all, is `app`.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from bursar.errors import Invalid, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Network = IPv4Network | IPv6Network
NETWORKS_LIMIT = 32
"""Of one key."""


def normal_networks(texts: Sequence[str]) -> tuple[str, ...]:
    """The networks in their normal form, each once; a single address is a network of one.

    Raises:
        Invalid: some aren't networks (each is named by its place), or there are too many.
    """
    if len(texts) > NETWORKS_LIMIT:
        message = f"must be at most {NETWORKS_LIMIT} networks"
        raise Invalid(reasons=(Reason("networks", "too_many", message),))
    found: dict[str, None] = {}
    reasons: list[Reason] = []
    for place, text in enumerate(texts):
        try:
            found[str(ip_network(text))] = None
        except ValueError:
            message = "must be an address or a network in CIDR form, such as 10.1.0.0/16 or 2001:db8::/32"
            reasons.append(Reason(f"networks.{place}", "invalid_network", message))
    if reasons:
        raise Invalid(reasons=tuple(reasons))
    return tuple(found)


def parsed_networks(normal: Iterable[str]) -> tuple[Network, ...]:
    """What addresses are held against."""
    return tuple(map(ip_network, normal))


@lru_cache(maxsize=4_096)
def is_within(address: str | None, networks: tuple[Network, ...]) -> bool:
    """Whether an address is in one of the networks; one that isn't known is in none."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return False
    # A socket for both kinds shows an IPv4 client so.
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in network for network in networks)
