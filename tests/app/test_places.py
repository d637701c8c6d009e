"""One address can't take all places for connections, and whoever else comes finds one."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from functools import partial
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from bursar.app import server as serving
from bursar.app.places import Places
from tests.support.patience import DEADLINE_SECONDS
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

FLOODER, QUIET = "192.0.2.1", "192.0.2.2"


def taken(places: Places, address: str) -> int:
    """How many places an address gets before it is sent away."""
    return next(got for got in range(1_000) if not places.take(address))


def test_an_address_has_half_of_the_places_while_nobody_else_wants_any_and_others_find_theirs() -> None:
    places = Places(100)
    assert taken(places, FLOODER) == 50
    assert taken(places, QUIET) == 25
    places.leave(QUIET)
    assert places.take(QUIET)
    assert not places.take(FLOODER)
    assert len(places) == 75


def test_who_leaves_is_forgotten() -> None:
    places = Places(4)
    for _ in range(10):
        assert places.take(FLOODER)
        places.leave(FLOODER)
    assert len(places) == 0


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_an_ipv6_network_is_one_and_an_ipv4_client_is_itself(first: str, second: str, is_one: bool) -> None:  # noqa: FBT001 - a case
    places = Places(8)
    assert taken(places, first) == 4
    assert places.take(second) is not is_one


def test_a_trusted_proxy_speaks_for_many() -> None:
    places = Places(8, (ip_network("192.0.2.0/31"),))
    assert all(places.take(FLOODER) for _ in range(20))
    assert taken(places, QUIET) == 2


def test_a_connection_without_a_place_is_told_so_and_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "connections_limit", lambda: 16)
    with running_server(tmp_path / "d") as server, ExitStack() as many:
        host, port = server.url.removeprefix("http://").split(":")
        connect = partial(socket.create_connection, (host, int(port)), DEADLINE_SECONDS)
        for _ in range(8):
            one = many.enter_context(connect())
            one.sendall(b"GET /live HTTP/1.1\r\nHost: here\r\n\r\n")
            assert one.recv(4096).startswith(b"HTTP/1.1 200")
        with connect() as last:
            assert last.recv(4096).startswith(b"HTTP/1.1 503")
        # The folder's own socket has places of its own.
        assert server.operator.get("/live").status_code == 200
        many.close()
