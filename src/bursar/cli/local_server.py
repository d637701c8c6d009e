"""A server inside this very process, for commands that need one only as long as they run.

The event loop lives in a thread of its own, the command in the main thread, so that Ctrl-C reaches the
command, which then leaves the block and thereby stops the server in order.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvloop

from bursar.app.build import build_platform
from bursar.app.logs import configure_logging
from bursar.app.server import Serving, bind_address, bound_to
from bursar.app.tls import make_tls
from bursar.cli.printing import say
from bursar.errors import BursarError

if TYPE_CHECKING:
    from collections.abc import Generator
    from socket import socket

    from bursar.settings import Settings


@contextmanager
def serving_socket(settings: Settings) -> Generator[LocalServer]:
    """Serve the folder on its own socket only, while the block runs.

    Raises:
        FolderInUse: another process holds the folder.
        ConfigurationError: the folder or a store can't be used.
    """
    with _serving(settings, None) as server:
        if server.generated_key is not None:
            say(f"Admin key, shown only this once: {server.generated_key}")
        yield server


@contextmanager
def serving_address(settings: Settings) -> Generator[LocalServer]:
    """Serve the folder on its socket and on the settings' address, while the block runs.

    A key that the first start makes is the caller's to show: it is in `generated_key`.

    Raises:
        FolderInUse: another process holds the folder.
        ConfigurationError: the address, the folder or a store can't be used.
    """
    tcp = bind_address(settings.host, settings.port)
    try:
        with _serving(bound_to(settings, tcp), tcp) as server:
            yield server
    finally:
        tcp.close()


@contextmanager
def _serving(settings: Settings, tcp: socket | None) -> Generator[LocalServer]:
    # A command's own words are what its user reads; of the log only what is wrong.
    configure_logging(settings.model_copy(update={"log_level": "warning"}))
    platform = build_platform(settings)
    server = LocalServer(Serving(platform, tcp, tls=make_tls(settings)), platform.first_start.generated)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class LocalServer:
    """A server whose event loop runs in a thread of this process."""

    def __init__(self, serving: Serving, generated_key: str | None = None) -> None:
        """Serve this once `start` is called."""
        self._serving = serving
        self.generated_key = generated_key
        """The operator's key, where this start made it; it can't be read again."""
        self._loop = uvloop.new_event_loop()
        self._is_settled = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="server")

    @property
    def url(self) -> str | None:
        """Where HTTP is served; None where only the socket is."""
        return self._serving.url

    @property
    def is_running(self) -> bool:
        """Whether it still serves: the operator may have stopped it."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin, and return once connections are taken."""
        self._thread.start()
        self._is_settled.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """Stop in order, and return once everything is closed."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._serving.stop)
        self._thread.join()
        if self._failure is not None:
            message = f"The server stopped on its own: {self._failure}"
            raise BursarError(message) from self._failure

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serving.run(lambda _: self._is_settled.set()))
        except BaseException as error:  # noqa: BLE001 - handed over to the thread that waits for it
            self._failure = error
        finally:
            self._is_settled.set()
