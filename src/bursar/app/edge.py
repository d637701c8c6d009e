"""What is decided of a request before anybody asks what it wants: by whom it comes, which host, which origin.

`edge_of` makes it of the settings. Proxies are read in `addresses.py`; the headers of answers are in
`safety_headers.py`; limits of bodies and requests stand further in, in `middleware.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.middleware.cors import CORSMiddleware

from bursar.app.addresses import Proxies
from bursar.app.auth import OPERATOR_MARK
from bursar.app.middleware import REQUEST_ID
from bursar.app.problems import problem_response
from bursar.errors import WrongHost

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from bursar.settings import Settings

PROBES = frozenset(["/live", "/ready", "/ping", "/health"])
"""Asked by machines that know an address and no name."""
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_REQUEST_HEADERS = (
    "Authorization",
    "Content-Encoding",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
    "X-API-Key",
    "X-Ingest-Key",
    "X-Request-ID",
    "traceparent",
)
_ANSWER_HEADERS = (
    "Content-Disposition",
    "ETag",
    "Link",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-ID",
)
_PREFLIGHT_SECONDS = 600


class Hosts:
    """The names under which this server may be asked for."""

    def __init__(self, names: tuple[str, ...]) -> None:
        """Without any, every name will do; `*.example.com` is every name below it."""
        self._takes_all = not names or "*" in names
        self._exact = frozenset(name for name in names if not name.startswith("*."))
        self._below = tuple(name[1:] for name in names if name.startswith("*."))

    def takes(self, host: bytes | None) -> bool:
        """Whether the value of a `Host` header, with or without a port, names this server."""
        if self._takes_all:
            return True
        if host is None:
            return False
        name = _without_port(host.decode("latin-1").lower())
        return name in self._exact or name.endswith(self._below or ("\0",))


@dataclass(frozen=True, slots=True)
class Edge:
    """What the settings say of the network around this server."""

    proxies: Proxies
    hosts: Hosts
    origins: tuple[str, ...]

    def around(self, app: ASGIApp) -> ASGIApp:
        """The app behind the checks; where nothing is to be checked, the app itself."""
        checked = _HostCheck(app, self.hosts)
        if not self.origins:
            return checked
        # Without credentials: a page of another origin brings a key, and never somebody's cookies.
        return CORSMiddleware(
            checked,
            allow_origins=self.origins,
            allow_methods=_METHODS,
            allow_headers=_REQUEST_HEADERS,
            expose_headers=_ANSWER_HEADERS,
            allow_credentials=False,
            max_age=_PREFLIGHT_SECONDS,
        )


def edge_of(settings: Settings) -> Edge:
    """The edge that the settings ask for."""
    return Edge(Proxies(settings.trusted_proxies), Hosts(settings.allowed_hosts), settings.cors_origins)


class _HostCheck:
    """Refuses requests for other hosts: pages that rebind their name to this address, and poisoned links."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http" or scope.get(OPERATOR_MARK) is True or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == b"host"]
        if len(given) <= 1 and self._hosts.takes(given[0] if given else None):
            await self._app(scope, receive, send)
            return
        status, headers, body = problem_response(WrongHost(), scope["path"], scope.get(REQUEST_ID, ""))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
