"""Which IP addresses a request that a user asked for may go to: public ones, and networks that are allowed.

Pure: addresses in, a yes or no out. Who resolves a name, and that the address that was judged is the one that
is asked, is the business of `transport.py`.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NEVER_PUBLIC: tuple[Network, ...] = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # this host (RFC 791)
            "100.64.0.0/10",  # behind a provider's NAT (RFC 6598); some clouds' metadata too
            "168.63.129.16/32",  # Azure's own services for a virtual machine, by a public address
            "192.0.0.0/24",  # protocols' own (RFC 6890), and a cloud's metadata
            "192.88.99.0/24",  # relays of 6to4 (RFC 7526)
            "224.0.0.0/4",
            "240.0.0.0/4",
            "::ffff:0:0/96",  # IPv4 written as IPv6: no name needs that, and filters overlook it
            "64:ff9b::/96",  # NAT64 leads to any IPv4 address (RFC 6052)
            "64:ff9b:1::/48",  # NAT64 of a site's own (RFC 8215)
            "2001::/23",  # Teredo (RFC 4380) and other protocols' own
            "2002::/16",  # 6to4 leads to any IPv4 address (RFC 3056)
            "fec0::/10",  # site-local, before there was fc00::/7
            "ff00::/8",
        ),
    )
)
"""Beside what Python's registry of special addresses calls not global, which differs between versions."""


class Reach:
    """What requests may reach."""

    def __init__(self, allowed: tuple[Network, ...] = ()) -> None:
        """`allowed`: networks of one's own that are as good as public ones."""
        self._allowed = allowed

    def allows(self, address: Address) -> bool:
        """Whether an address may be asked."""
        if any(address in network for network in self._allowed):
            return True
        is_special = address.is_multicast or address.is_reserved or not address.is_global
        return not is_special and not any(address in network for network in NEVER_PUBLIC)
