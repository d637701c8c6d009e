"""Whose address counts: the peer's, unless a trusted proxy speaks for somebody else.

The same over a real server, with its log, is in `security/test_forged_headers.py`.
"""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.app.addresses import Proxies, client_address, is_secure

if TYPE_CHECKING:
    from bursar.settings.networks import Network

INSIDE: tuple[Network, ...] = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def scope_of(peer: str | None, *headers: tuple[str, str], scheme: str = "http") -> dict[str, Any]:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    client = None if peer is None else (peer, 4711)
    return {"type": "http", "client": client, "scheme": scheme, "headers": raw}


def address_seen(peer: str | None, *forwarded: str, trusted: tuple[Network, ...] = INSIDE) -> str | None:
    scope = scope_of(peer, *(("x-forwarded-for", line) for line in forwarded))
    Proxies(trusted).mark(scope)
    return client_address(scope)


@pytest.mark.parametrize(
    ("peer", "lines", "address"),
    [
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        # What stands further left is what the client wrote itself.
        ("10.0.0.1", ["1.2.3.4, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.2.3.4", "203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, 10.0.0.2, 10.0.0.3"], "203.0.113.9"),
        # Nobody but proxies: the farthest of them asks for itself.
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [], "10.0.0.1"),
        # Where a hop can't be read, whoever told of it is as far as we know.
        ("10.0.0.1", ["203.0.113.9, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9:51000"], "203.0.113.9"),
        ("fd00::1", ["[2001:db8::9]:51000"], "2001:db8::9"),
        ("fd00::1", ["2001:DB8:0:0::9"], "2001:db8::9"),
        # A socket for both kinds of addresses names IPv4 clients like this.
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
        (None, ["203.0.113.9"], None),
    ],
)
def test_the_nearest_address_that_is_no_proxy_is_the_clients(
    peer: str | None, lines: list[str], address: str | None
) -> None:
    assert address_seen(peer, *lines) == address


@pytest.mark.parametrize("trusted", [(), INSIDE])
def test_a_header_of_an_untrusted_peer_counts_for_nothing(trusted: tuple[Network, ...]) -> None:
    assert address_seen("198.51.100.7", "10.0.0.1", trusted=trusted) == "198.51.100.7"
    assert address_seen("::ffff:198.51.100.7", "10.0.0.1", trusted=trusted) == "198.51.100.7"


@given(claimed=st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=255)), max_size=5))
def test_whatever_a_client_writes_the_address_its_proxy_saw_counts(claimed: list[str]) -> None:
    assert address_seen("10.0.0.1", *claimed, "203.0.113.9") == "203.0.113.9"


@given(
    hops=st.lists(st.ip_addresses(v=4).filter(lambda one: one not in INSIDE[0]), max_size=5),
    proxies=st.lists(st.integers(1, 2**24 - 1).map(lambda one: IPv4Address(10 * 2**24 + one)), max_size=5),
)
def test_any_chain_of_proxies_tells_the_same_client(
    hops: list[IPv4Address], proxies: list[IPv4Address]
) -> None:
    line = ", ".join(map(str, [*hops, "203.0.113.9", *proxies]))
    assert address_seen("10.0.0.1", line) == "203.0.113.9"


def test_rfc_7239_is_not_read_even_from_a_trusted_proxy() -> None:
    scope = scope_of("10.0.0.1", ("forwarded", "for=203.0.113.9;proto=https"))
    Proxies(INSIDE).mark(scope)
    assert (client_address(scope), is_secure(scope)) == ("10.0.0.1", False)


@pytest.mark.parametrize(
    ("peer", "said", "secure"),
    [
        ("10.0.0.1", ["https"], True),
        ("10.0.0.1", ["HTTPS"], True),
        ("10.0.0.1", ["http"], False),
        ("10.0.0.1", ["https, http"], False),
        ("10.0.0.1", ["http", "https"], True),
        ("10.0.0.1", [], False),
        ("198.51.100.7", ["https"], False),
    ],
)
def test_only_a_trusted_proxy_can_say_that_the_client_speaks_tls(
    peer: str, said: list[str], *, secure: bool
) -> None:
    scope = scope_of(peer, *(("x-forwarded-proto", line) for line in said))
    Proxies(INSIDE).mark(scope)
    assert is_secure(scope) is secure


def test_a_connection_of_our_own_tls_is_secure_until_a_trusted_proxy_says_otherwise() -> None:
    plain = scope_of("198.51.100.7", scheme="https")
    Proxies(INSIDE).mark(plain)
    assert is_secure(plain)
    forwarded = scope_of("10.0.0.1", ("x-forwarded-proto", "http"), scheme="https")
    Proxies(INSIDE).mark(forwarded)
    assert not is_secure(forwarded)
