"""One request to a URL that a user gave, bounded in what its server could draw out: time, size, redirects.

The bound of time holds for the whole: the name, the connection, a head that drips, a body that drips. Bodies
are taken as sent and counted; a compressed one is refused, since none was asked for. A redirect is an answer
like any other and is not followed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from bursar.errors import OutgoingFailed, OutgoingRefused
from bursar.outgoing.transport import GuardedTransport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from bursar.outgoing.reach import Reach
    from bursar.outgoing.transport import Place, Resolve


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of an answer is taken."""

    seconds: float = 10.0
    """From the first look at the name to the last byte."""
    max_bytes: int = 2**20


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered, whatever its status; a redirect too."""

    status: int
    headers: httpx.Headers
    body: bytes


class Outgoing:
    """Asks URLs that users give."""

    def __init__(
        self,
        reach: Reach,
        bounds: Bounds | None = None,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        own: frozenset[Place] = frozenset(),
    ) -> None:
        """`own` are servers that the operator has named, wherever they are.

        `resolve` and `tls` are the system's, unless a test has its own.
        """
        self._reach = reach
        self._own = own
        self._bounds = bounds or Bounds()
        self._resolve = resolve
        self._tls = tls

    def client(self) -> httpx.AsyncClient:
        """A client for libraries that want one: guarded, without proxies, and following nothing by itself."""
        return httpx.AsyncClient(
            transport=GuardedTransport(self._reach, self._resolve, self._tls, self._own),
            trust_env=False,
            follow_redirects=False,
            timeout=self._bounds.seconds,
        )

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, content: bytes = b""
    ) -> Answer:
        """The answer to one request.

        Raises:
            OutgoingRefused: the URL can't be read, names a user, or leads to where nothing may be asked.
            OutgoingFailed: no answer in time, one that is too large, or none that can be read.
        """
        request = _request_for(method, url, headers or {}, content)
        try:
            async with asyncio.timeout(self._bounds.seconds), self.client() as client:
                answer = await client.send(request, stream=True)
                try:
                    return Answer(answer.status_code, answer.headers, await self._body_of(answer))
                finally:
                    await answer.aclose()
        except TimeoutError as error:
            message = f"{_where(request)} gave no whole answer within {self._bounds.seconds:g} s."
            raise OutgoingFailed(message) from error
        except httpx.HTTPError as error:
            raise OutgoingFailed(f"{_where(request)} could not be asked: {type(error).__name__}.") from error

    def ask_and_wait(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, content: bytes = b""
    ) -> Answer:
        """The same for threads, which have no event loop."""
        return asyncio.run(self.ask(method, url, headers, content))

    async def _body_of(self, answer: httpx.Response) -> bytes:
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise OutgoingFailed(f"{_where(answer.request)} sent a compressed body that nobody asked for.")
        body = bytearray()
        async for part in answer.aiter_raw():
            body += part
            if len(body) > self._bounds.max_bytes:
                message = f"{_where(answer.request)} sent more than {self._bounds.max_bytes} bytes."
                raise OutgoingFailed(message)
        return bytes(body)


def _request_for(method: str, url: str, headers: Mapping[str, str], content: bytes) -> httpx.Request:
    try:
        parsed = httpx.URL(url)
        named = {"Accept-Encoding": "identity", "User-Agent": "bursar", **headers}
        request = httpx.Request(method, parsed, headers=named, content=content or None)
    except (httpx.InvalidURL, UnicodeError, ValueError, TypeError) as error:
        message = "The URL can't be read."
        raise OutgoingRefused(message) from error
    if parsed.userinfo:
        message = "A URL with a user name in it is not asked; send credentials in a header."
        raise OutgoingRefused(message)
    return request


def _where(request: httpx.Request) -> str:
    """The host alone: a path may carry a secret, as web hooks' do."""
    return request.url.host[:253]
