"""Forms of settings about the network: lists of networks, of origins and of host names.

Each list is written with commas or spaces between its items. A form refuses what it can't be sure of: a
mistyped proxy would be trusted by nobody, and a mistyped origin would match no browser. What the lists are
for is said where the settings are, in `listening.py`.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

NETWORKS_FORM = "addresses and networks separated by commas, such as 10.0.0.7, 192.168.0.0/16, fd00::/8"
ORIGINS_FORM = "origins separated by commas, such as https://app.example.com, http://localhost:3000, or *"
HOSTS_FORM = "host names separated by commas, such as bursar.example.com, *.internal.example.com"
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9._-]{0,252})|\[[0-9a-f:.]+\]|\*")

Network = IPv4Network | IPv6Network


def split_list(given: object) -> object:
    """The items of a list that was written as one text."""
    if isinstance(given, str):
        return [item for item in re.split(r"[,\s]+", given) if item]
    return given


def is_loopback(host: str) -> bool:
    """Whether a host, as in a URL, is this very machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _to_networks(items: object) -> object:
    if not isinstance(items, list | tuple):
        return items
    # Host bits beside a prefix are a typo: 10.0.0.7/8 would trust sixteen million addresses.
    return tuple(ip_network(item) for item in items)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _check_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        parts = urlsplit(origin)
        is_plain = origin == f"{parts.scheme}://{parts.netloc}" and "@" not in parts.netloc
        if origin != "*" and not (parts.scheme in {"http", "https"} and parts.hostname and is_plain):
            message = "not an origin"
            raise ValueError(message)
    return origins


def _check_hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    lower = tuple(host.lower() for host in hosts)
    if not all(_HOST.fullmatch(host) for host in lower):
        message = "not a host name"
        raise ValueError(message)
    return lower


Networks = Annotated[tuple[Network, ...], BeforeValidator(_to_networks), BeforeValidator(split_list)]
Origins = Annotated[tuple[str, ...], AfterValidator(_check_origins), BeforeValidator(split_list)]
Hosts = Annotated[tuple[str, ...], AfterValidator(_check_hosts), BeforeValidator(split_list)]
