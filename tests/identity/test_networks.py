"""Networks that a key counts from: their normal form, and which addresses are within."""

from __future__ import annotations

import pytest

from bursar.errors import Invalid
from bursar.identity.networks import NETWORKS_LIMIT, is_within, normal_networks, parsed_networks


def test_networks_have_one_spelling_and_come_once() -> None:
    given = ["10.1.0.0/16", "10.1.0.0/255.255.0.0", "192.0.2.7", "2001:DB8:0::/32"]
    assert normal_networks(given) == ("10.1.0.0/16", "192.0.2.7/32", "2001:db8::/32")
    assert normal_networks([]) == ()


def test_what_is_no_network_is_named_by_its_place() -> None:
    with pytest.raises(Invalid) as refused:
        normal_networks(["10.0.0.0/8", "10.0.0.1/8", "example.com", "", "1"])
    found = [(reason.field, reason.code) for reason in refused.value.reasons]
    assert found == [(f"networks.{place}", "invalid_network") for place in (1, 2, 3, 4)]
    with pytest.raises(Invalid):
        normal_networks(["10.0.0.0/8"] * (NETWORKS_LIMIT + 1))


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.1.2.3", True),
        ("10.2.0.0", False),
        ("::ffff:10.1.2.3", True),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("unknown", False),
        ("", False),
        (None, False),
    ],
)
def test_an_address_is_within_or_not(address: str | None, inside: bool) -> None:  # noqa: FBT001 - a case
    assert is_within(address, parsed_networks(["10.1.0.0/16", "2001:db8::/32"])) is inside
