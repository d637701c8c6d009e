"""An httpx transport that asks only addresses it has judged.

A name is resolved once; if any of its addresses may not be reached, nothing is asked. The connection then
goes to the very address that was judged, with the name in `Host` and in TLS, so that a name whose answer
changes between the look and the call (DNS rebinding) gains nothing. A redirect that a client follows comes
through here again and is judged again. Connections are not kept: one made for a name must not serve another.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import TYPE_CHECKING

import httpx
import structlog

from bursar.errors import OutgoingFailed, OutgoingRefused

if TYPE_CHECKING:
    import ssl

    from bursar.outgoing.reach import Address, Reach

Resolve = Callable[[str, int], Awaitable[list["Address"]]]
Place = tuple[str, int]
"""A host, in lower case and without brackets, and its port."""
_RESOLVING_AT_ONCE = 8
"""The system's resolver can't be interrupted; names that don't answer hold up so many others."""
_HIGHEST_PORT = 65_535
_resolvers = ThreadPoolExecutor(_RESOLVING_AT_ONCE, thread_name_prefix="resolver")

log = structlog.get_logger()


class GuardedTransport(httpx.AsyncBaseTransport):
    """Asks what may be reached.

    A client with it must not trust the environment, whose proxies would go around: see `Outgoing.client`.
    """

    def __init__(
        self,
        reach: Reach,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        own: frozenset[Place] = frozenset(),
    ) -> None:
        """`own` are asked wherever they are.

        `resolve` and `tls` are the system's, unless a test has its own.
        """
        self._reach = reach
        self._own = own
        self._resolve = resolve or resolve_name
        self._inner = httpx.AsyncHTTPTransport(
            verify=tls or True, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer of the first address that takes a connection.

        Raises:
            OutgoingRefused: it isn't HTTP, or leads to where nothing may be asked.
            OutgoingFailed: the name can't be resolved.
            httpx.TransportError: no address answers.
        """
        *others, last = await self._judged(request.url)
        for address in others:
            try:
                return await self._inner.handle_async_request(_aimed(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._inner.handle_async_request(_aimed(request, last))

    async def aclose(self) -> None:
        """Close what is open."""
        await self._inner.aclose()

    async def _judged(self, url: httpx.URL) -> list[Address]:
        """The addresses of a URL, every one of which may be asked."""
        host, port = place_of(url)
        if port > _HIGHEST_PORT:
            raise OutgoingRefused(f"There is no port {port}.")
        addresses = await self._resolve(host, port)
        if (host, port) in self._own:
            return addresses
        refused = [str(address) for address in addresses if not self._reach.allows(address)]
        if refused:
            # The log is the operator's; who gave the URL needn't learn what names mean inside.
            log.warning("outgoing request refused", host=host, addresses=refused)
            message = f"{host[:253]!r} leads to an address that isn't public."
            raise OutgoingRefused(message)
        return addresses


def place_of(url: httpx.URL | str) -> Place:
    """The server that a URL names.

    Raises:
        OutgoingRefused: it names none.
    """
    url = httpx.URL(url)
    if url.scheme not in {"http", "https"} or not url.host:
        message = "Only http and https URLs with a host are asked."
        raise OutgoingRefused(message)
    host = url.raw_host.decode("ascii").strip("[]").lower()
    return host, url.port or (443 if url.scheme == "https" else 80)


async def resolve_name(host: str, port: int) -> list[Address]:
    """All addresses of a name, or of an address in any of the ways to write one; never none.

    Raises:
        OutgoingFailed: there are none, or nobody knows.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.run_in_executor(_resolvers, _look_up, host, port)
    except (OSError, UnicodeError) as error:
        raise OutgoingFailed(f"The name {host[:253]!r} can't be resolved.") from error
    # The same address comes once for each way to use it.
    return [ip_address(address) for address in dict.fromkeys(found)]


def _look_up(host: str, port: int) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _aimed(request: httpx.Request, address: Address) -> httpx.Request:
    """The same request, to be sent to this address; its headers name the host already."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=str(address)),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.raw_host.decode("ascii").strip("[]")},
    )
