"""URLs that users give: what is asked, what never is, and that no server can draw a request out.

Real servers on addresses of this machine. `127.0.0.2` stands for the world (it is allowed as a network of
one's own would be), `127.0.0.1` for what only this machine reaches. Names come from a resolver of the test's.
"""

from __future__ import annotations

import asyncio
import gzip
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address, ip_network
from time import monotonic, sleep
from typing import TYPE_CHECKING

import pytest
import trustme

from bursar.errors import OutgoingFailed, OutgoingRefused
from bursar.outgoing import Bounds, Outgoing, Reach

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from bursar.outgoing.reach import Address

WORLD, INSIDE = "127.0.0.2", "127.0.0.1"
REACH = Reach((ip_network(f"{WORLD}/32"),))


class Peer:
    """A server, and what it was asked."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[tuple[str, str, str, bytes]] = []
        """Method, path, `Host` and body of each request."""


def say_hello(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "5")
    handler.end_headers()
    handler.wfile.write(b"hello")


@contextmanager
def peer(address: str, reply: Callable[[BaseHTTPRequestHandler], None] = say_hello) -> Generator[Peer]:
    with serving(address, reply) as (server, found):
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving(
    address: str, reply: Callable[[BaseHTTPRequestHandler], None], tls: ssl.SSLContext | None = None
) -> Generator[tuple[ThreadingHTTPServer, Peer]]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found.asked.append((self.command, self.path, self.headers.get("Host") or "", body))
            reply(self)

        do_GET = do_POST = answer  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up is what some tests are about."""

    with Server((address, 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        found = Peer(server.server_port)
        yield server, found


@pytest.fixture
def secret() -> Iterator[Peer]:
    """What only this machine may ask."""
    with peer(INSIDE) as found:
        yield found


class Names:
    """A resolver whose answers are given, one after the other; the last one stays."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.looks = 0

    async def resolve(self, _host: str, _port: int) -> list[Address]:
        answer = self.answers[min(self.looks, len(self.answers) - 1)]
        self.looks += 1
        return [ip_address(one) for one in answer]


def test_a_request_reaches_the_server_with_its_name_its_headers_and_its_body() -> None:
    names = Names([WORLD])
    with peer(WORLD) as world:
        outgoing = Outgoing(REACH, resolve=names.resolve)
        url = f"http://hooks.example:{world.port}/in?x=1"
        answer = outgoing.ask_and_wait("POST", url, {"X-Signature": "s"}, b"body")
    assert (answer.status, answer.body) == (200, b"hello")
    assert world.asked == [("POST", "/in?x=1", f"hooks.example:{world.port}", b"body")]
    assert names.looks == 1


def test_a_name_that_is_rebound_after_the_look_gains_nothing(secret: Peer) -> None:
    """The second look would lead inside; there is none, and the next request is judged anew."""
    names = Names([WORLD], [INSIDE])
    with peer(WORLD) as world:
        outgoing = Outgoing(REACH, resolve=names.resolve)
        # Both servers are to be had at one port, as a rebinding attack needs it.
        assert outgoing.ask_and_wait("GET", f"http://rebind.example:{world.port}/").body == b"hello"
        assert (names.looks, len(world.asked)) == (1, 1)
        with pytest.raises(OutgoingRefused):
            outgoing.ask_and_wait("GET", f"http://rebind.example:{secret.port}/")
    assert secret.asked == []


def test_one_inner_address_among_public_ones_refuses_the_name(secret: Peer) -> None:
    outgoing = Outgoing(REACH, resolve=Names([WORLD, INSIDE]).resolve)
    with pytest.raises(OutgoingRefused) as caught:
        outgoing.ask_and_wait("GET", f"http://mixed.example:{secret.port}/")
    assert secret.asked == []
    # Whoever gave the URL doesn't learn what names mean inside.
    assert INSIDE not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::7f00:1]",
        "①②⑦.⓪.⓪.①",
    ],
)
def test_no_spelling_of_this_machine_is_asked(secret: Peer, host: str) -> None:
    with pytest.raises((OutgoingRefused, OutgoingFailed)):
        Outgoing(Reach()).ask_and_wait("GET", f"http://{host}:{secret.port}/")
    assert secret.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "fe80::1",
        "fe80::1%lo",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "2001:db8::1",
        "100::1",
    ],
)
def test_special_addresses_are_not_public(address: str) -> None:
    assert not Reach().allows(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001::1"])
def test_public_addresses_are(address: str) -> None:
    assert Reach().allows(ip_address(address))


def test_a_network_of_ones_own_is_allowed_and_nothing_beside_it() -> None:
    reach = Reach((ip_network("10.1.0.0/16"), ip_network("fd00:1::/32")))
    allowed = [reach.allows(ip_address(one)) for one in ("10.1.2.3", "10.2.0.1", "fd00:1::5", "fd00:2::5")]
    assert allowed == [True, False, True, False]


def redirect_to(url: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", url)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return reply


def test_a_redirect_is_an_answer_and_not_followed(secret: Peer) -> None:
    target = f"http://{INSIDE}:{secret.port}/admin"
    with peer(WORLD, redirect_to(target)) as world:
        answer = Outgoing(REACH).ask_and_wait("GET", f"http://{WORLD}:{world.port}/")
    assert (answer.status, answer.headers["location"]) == (302, target)
    assert secret.asked == []


def test_a_client_that_follows_redirects_is_judged_at_each(secret: Peer) -> None:
    async def follow(url: str) -> None:
        async with Outgoing(REACH).client() as client:
            await client.get(url, follow_redirects=True)

    with peer(WORLD, redirect_to(f"http://{INSIDE}:{secret.port}/admin")) as world:
        with pytest.raises(OutgoingRefused):
            asyncio.run(follow(f"http://{WORLD}:{world.port}/"))
        assert len(world.asked) == 1
    assert secret.asked == []


def test_a_proxy_of_the_environment_is_not_used(secret: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{INSIDE}:{secret.port}")
    with peer(WORLD) as world:
        Outgoing(REACH).ask_and_wait("GET", f"http://{WORLD}:{world.port}/")
        assert len(world.asked) == 1
    assert secret.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.2/",
        "ftp://127.0.0.2/",
        "http://",
        "http:///x",
        "//127.0.0.2/",
        "127.0.0.2",
        "",
        "http://user:password@127.0.0.2/",
        "http://127.0.0.2@127.0.0.1/",
        "http://[::1",
        "http://a\r\nHost: b/",
        "http://127.0.0.2:99999/",
        "http://" + "a" * 70_000,
    ],
)
def test_what_is_no_plain_http_url_is_refused(url: str) -> None:
    with pytest.raises((OutgoingRefused, OutgoingFailed)):
        Outgoing(REACH).ask_and_wait("GET", url)


def drip_a_head(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(400):
        handler.wfile.write(f"X-{number}: y\r\n".encode())
        sleep(0.02)


def drip_a_body(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n")
    for _ in range(400):
        handler.wfile.write(b"x")
        sleep(0.02)


@pytest.mark.parametrize("reply", [drip_a_head, drip_a_body])
def test_a_server_that_drips_is_left_in_time(reply: Callable[[BaseHTTPRequestHandler], None]) -> None:
    with peer(WORLD, reply) as world:
        begun = monotonic()
        with pytest.raises(OutgoingFailed, match=r"within 0\.3 s"):
            Outgoing(REACH, Bounds(seconds=0.3)).ask_and_wait("GET", f"http://{WORLD}:{world.port}/")
        assert monotonic() - begun < 4


def test_a_name_that_takes_too_long_is_left_in_time() -> None:
    async def never(_host: str, _port: int) -> list[Address]:
        await asyncio.sleep(60)
        raise AssertionError

    with pytest.raises(OutgoingFailed, match=r"within 0\.1 s"):
        Outgoing(REACH, Bounds(seconds=0.1), never).ask_and_wait("GET", "http://slow.example/")


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        handler.wfile.write(bytes(65_536))


def bomb(handler: BaseHTTPRequestHandler) -> None:
    body = gzip.compress(bytes(50_000_000))
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize(("reply", "word"), [(endless, "more than 100000 bytes"), (bomb, "compressed")])
def test_a_body_without_end_or_compressed_is_refused(
    reply: Callable[[BaseHTTPRequestHandler], None], word: str
) -> None:
    with peer(WORLD, reply) as world, pytest.raises(OutgoingFailed, match=word):
        Outgoing(REACH, Bounds(max_bytes=100_000)).ask_and_wait("GET", f"http://{WORLD}:{world.port}/")


def test_nobody_listening_is_told_without_the_path() -> None:
    with peer(WORLD) as gone:
        pass
    with pytest.raises(OutgoingFailed, match="could not be asked: ConnectError") as caught:
        Outgoing(REACH).ask_and_wait("GET", f"http://{WORLD}:{gone.port}/secret-path")
    assert "secret-path" not in str(caught.value)


def test_the_next_address_is_asked_where_the_first_takes_no_connection() -> None:
    reach = Reach((ip_network("127.0.0.0/8"),))
    with peer(WORLD) as world:
        outgoing = Outgoing(reach, resolve=Names(["127.0.0.9", WORLD]).resolve)
        assert outgoing.ask_and_wait("POST", f"http://two.example:{world.port}/", None, b"b").status == 200
        assert world.asked[0][3] == b"b"


@pytest.mark.parametrize(("issued_for", "is_taken"), [("hooks.example", True), ("other.example", False)])
def test_the_certificate_must_be_the_names_though_the_address_is_asked(
    issued_for: str, *, is_taken: bool
) -> None:
    authority = trustme.CA()
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with authority.issue_cert(issued_for).private_key_and_cert_chain_pem.tempfile() as file:
        own.load_cert_chain(file)
    trusted = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    with serving(WORLD, say_hello, own) as (server, world):
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        outgoing = Outgoing(REACH, resolve=Names([WORLD]).resolve, tls=trusted)
        try:
            url = f"https://hooks.example:{world.port}/"
            if is_taken:
                assert outgoing.ask_and_wait("GET", url).body == b"hello"
            else:
                with pytest.raises(OutgoingFailed, match="ConnectError"):
                    outgoing.ask_and_wait("GET", url)
        finally:
            server.shutdown()
            thread.join()
    assert len(world.asked) == int(is_taken)
