"""Runs a platform as a server: TCP and the data folder's socket, in one process on one event loop.

SIGTERM and SIGINT stop it in order: no new connections, running requests finish, the journal is
flushed, the stores are closed, the socket goes away, exit code 0 within ten seconds. What was
acknowledged is on disk long before, so a stop that takes too long is cut short without loss.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn
import uvloop

import bursar
from bursar.app.auth import operator_door
from bursar.app.bounded_protocol import BoundedProtocol
from bursar.app.build import build_platform
from bursar.app.gated_protocol import GatedProtocol
from bursar.app.http import make_app, make_gate, make_single_posts
from bursar.app.logs import configure_logging
from bursar.app.operator_socket import bind_socket, remove_socket
from bursar.app.places import Places
from bursar.app.platform import Platform
from bursar.app.post_protocol import PostProtocol
from bursar.app.tls import make_tls
from bursar.app.tracing import start_tracing
from bursar.app.welcome import invite_first_admin
from bursar.errors import ConfigurationError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from bursar.settings import Settings

REQUESTS_FINISH_SECONDS = 3
"""A stop waits this long for running requests, then cancels them."""
STOP_SECONDS = 9.0
"""A stop that isn't over by then is cut short: ten seconds are promised."""
KEEP_ALIVE_SECONDS = 75
"""Idle connections are kept this long: above the 60 s after which most load balancers close theirs."""
BACKLOG = 2048
SWITCH_SECONDS = 0.0005
"""Python's default of 5 ms made each of a commit's four turns wait that long behind a busy event loop:
about a tenth of the acknowledged events a second."""
GARBAGE_THRESHOLDS = (50_000, 20, 20)
"""Python's default of 700 new objects made a third of the ingest path's time on 1,000-event bodies."""
DESCRIPTORS_WANTED = 65_536
CONNECTIONS_LIMIT = 10_000
"""An idle connection takes about 10 kB; beyond this many, requests get a bare 503 from uvicorn."""
_DESCRIPTORS_FOR_FILES = 256

log = structlog.get_logger()

Announce = Callable[[str], None]


class _Listener(uvicorn.Server):
    """One listening socket; signals are handled for all of them together."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to `Serving`."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell when connections are taken."""
        await super().startup(sockets)
        self.listening.set()


@dataclass(slots=True)
class Serving:
    """A running server: where it listens, and how to stop it."""

    platform: Platform
    tcp: socket.socket | None = None
    """None serves only the operator's socket."""
    stop_seconds: float | None = None
    """After so long a stop is cut short by ending the process; None never does that."""
    tls: ssl.SSLContext | None = None
    """Encrypts what goes over `tcp`."""
    _listeners: list[_Listener] = field(default_factory=list[_Listener])

    def stop(self) -> None:
        """Stop in order; asked a second time, don't wait for running requests. From the event loop."""
        if self.stop_seconds is not None:
            _cut_short_after(self.stop_seconds)
        for listener in self._listeners:
            listener.force_exit = listener.should_exit
            listener.should_exit = True

    @property
    def url(self) -> str | None:
        """Where HTTP is served."""
        if self.tcp is None:
            return None
        host, port = self.tcp.getsockname()[:2]
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    async def run(self, started: Callable[[Serving], None]) -> None:
        """Serve until stopped; `started` is called once connections are taken."""
        path = self.platform.folder.socket
        app = make_app(self.platform, self.stop)
        self.platform.start(for_command=self.tcp is None)
        try:
            unix = bind_socket(path)
            try:
                await self._listen(app, unix, started)
            finally:
                unix.close()
                remove_socket(path)
        finally:
            await self.platform.stop()

    async def _listen(self, app: ASGIApp, unix: socket.socket, started: Callable[[Serving], None]) -> None:
        bound = [(_config(operator_door(app), BoundedProtocol, None), unix)]
        if self.tcp is not None:
            bound.append((_config(app, _protocol_of(self.platform), self.tls), self.tcp))
        self._listeners = [_Listener(config) for config, _ in bound]
        running = [
            asyncio.create_task(listener.serve([sock]))
            for listener, (_, sock) in zip(self._listeners, bound, strict=True)
        ]
        for listener, task in zip(self._listeners, running, strict=True):
            waiting = asyncio.create_task(listener.listening.wait())
            await asyncio.wait((waiting, task), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        if all(listener.listening.is_set() for listener in self._listeners):
            started(self)
        await asyncio.gather(*running)


def run_server(settings: Settings, announce: Announce) -> int:
    """Serve until a signal or the operator says stop; returns the exit code.

    `announce` is told what a person at the terminal should see: the address, the folder, a first key.

    Raises:
        ConfigurationError: the address, the certificate, the folder or a store can't be used.
    """
    configure_logging(settings)
    for name in ("uvicorn.error", "alembic"):
        # What these tell of a good start is told by our own lines, or nobody's business.
        logging.getLogger(name).setLevel(logging.WARNING)
    tls = make_tls(settings)
    stop_tracing = start_tracing(settings)
    tcp = bind_address(settings.host, settings.port)
    try:
        platform = build_platform(bound_to(settings, tcp))
        invitation = invite_first_admin(platform)
        _tune_interpreter()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            serving = Serving(platform, tcp, STOP_SECONDS, tls)
            runner.run(_serve_until_signalled(serving, announce, invitation))
    finally:
        tcp.close()
        stop_tracing()
        gc.unfreeze()
    return 0


def _tune_interpreter() -> None:
    """Look for cycles rarely, and let other threads in soon.

    Batches make thousands of objects and hardly any cycle; the journal's and the applier's threads need
    the interpreter only for moments.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def bind_address(host: str, port: int) -> socket.socket:
    """A socket bound to the address, not listening yet.

    Raises:
        ConfigurationError: the address is taken or isn't one of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _unusable(host, port, error) from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise _unusable(host, port, error) from error
    return bound


def bound_to(settings: Settings, tcp: socket.socket) -> Settings:
    """The settings with the port that was found, where they let one be picked: links lead there."""
    return settings.model_copy(update={"port": tcp.getsockname()[1]})


def _unusable(host: str, port: int, error: OSError) -> ConfigurationError:
    message = f"Can't listen on {host} port {port}: {error.strerror or error}. Choose another address."
    return ConfigurationError(message)


async def _serve_until_signalled(serving: Serving, announce: Announce, invitation: str | None) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop_on_signal, serving, number)
    await serving.run(lambda running: _greet(running, announce, invitation))


def _stop_on_signal(serving: Serving, number: signal.Signals) -> None:
    log.info("stopping", signal=number.name)
    serving.stop()


def _cut_short_after(seconds: float) -> None:
    def leave() -> None:
        log.warning("stopping took too long and was cut short; the next start applies what is missing")
        os._exit(0)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()


def _greet(serving: Serving, announce: Announce, invitation: str | None) -> None:
    platform = serving.platform
    announce(f"Data folder: {platform.folder.path.absolute()}")
    for warning in platform.first_start.warnings:
        announce(f"Warning: {warning}")
    if platform.first_start.generated is not None:
        announce(f"Admin key, shown only this once: {platform.first_start.generated}")
    if invitation is not None:
        announce(f"First admin, within a day and once, if a person is to log in: {invitation}")
    announce(f"Bursar {bursar.__version__} serves {serving.url} (documentation at {serving.url}/docs)")


def _protocol_of(platform: Platform) -> Any:  # noqa: ANN401 - uvicorn calls it with keywords, as it would a class
    gate, posts = make_gate(platform), make_single_posts(platform)
    places = Places(connections_limit(), platform.settings.trusted_proxies)
    if posts is None:
        return partial(GatedProtocol, gate, places=places)
    return partial(PostProtocol, posts, gate, places=places)


def _config(app: ASGIApp, protocol: Any, tls: ssl.SSLContext | None) -> uvicorn.Config:  # noqa: ANN401 - as above
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        # It would replace the peer's address by what headers claim; `addresses.py` reads them.
        proxy_headers=False,
        ssl_context_factory=None if tls is None else (lambda _config, _default: tls),
        server_header=False,
        backlog=BACKLOG,
        limit_concurrency=connections_limit(),
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=REQUESTS_FINISH_SECONDS,
    )


def connections_limit() -> int:
    """How many connections this process can take, after raising its limit of open files as far as allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS_LIMIT
    return max(64, min(CONNECTIONS_LIMIT, soft - _DESCRIPTORS_FOR_FILES))
