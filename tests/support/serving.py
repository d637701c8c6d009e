"""A whole Bursar for tests: real folder, real server on a free port, real HTTP.

The server's event loop runs in a thread of this process, so that a test can also look at the platform
behind it. Tests about processes and signals start `bursar serve` themselves.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import httpx
import structlog
from fastapi.dependencies import models

from bursar.app.build import build_platform
from bursar.app.operator_socket import address_of
from bursar.app.server import Serving, bind_address, bound_to
from bursar.app.tls import make_tls
from bursar.cli.local_server import LocalServer
from bursar.settings import load_settings
from tests.support.patience import DEADLINE_SECONDS
from tests.support.prepared import prepare_folder
from tests.support.remembered_routes import remember_routes

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from bursar.app.platform import Platform

ADMIN_KEY = "bur_operator-of-these-tests"

remember_routes()


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers."""

    url: str
    platform: Platform
    client: httpx.Client
    """Presents the operator's key."""
    stranger: httpx.Client
    """Presents nothing."""
    operator: httpx.Client
    """Comes through the data folder's socket."""


@contextmanager
def running_server(
    folder: Path,
    *,
    scheduler: bool = False,
    from_nothing: bool = False,
    **settings: Any,  # noqa: ANN401 - settings' own types
) -> Generator[RunningServer]:
    """A server on this folder with these settings, for as long as the block runs.

    Jobs run when a test asks for them; with `scheduler` by the time of day as well, as they do by default.
    A new folder gets a prepared state store; with `from_nothing` the start makes its own.
    """
    if not from_nothing and settings.get("database_url") is None:
        prepare_folder(folder)
    # Of what a server logs, only what is wrong may disturb a test's output.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    settings.setdefault("port", 0)
    chosen = load_settings({}, data_dir=folder, admin_key=ADMIN_KEY, scheduler=scheduler, **settings)
    tcp = bind_address(chosen.host, chosen.port)
    serving = Serving(build_platform(bound_to(chosen, tcp)), tcp, tls=make_tls(chosen))
    server = LocalServer(serving)
    server.start()
    url = str(serving.url)
    by_socket = httpx.HTTPTransport(uds=address_of(serving.platform.folder.socket))
    a_client = partial(httpx.Client, timeout=DEADLINE_SECONDS, cookies=_no_cookies())
    try:
        with (
            a_client(base_url=url, headers={"X-API-Key": ADMIN_KEY}) as client,
            a_client(base_url=url) as stranger,
            a_client(base_url="http://bursar.socket", transport=by_socket) as operator,
        ):
            yield RunningServer(url, serving.platform, client, stranger, operator)
    finally:
        server.stop()
        tcp.close()
        _let_go()


def _no_cookies() -> CookieJar:
    """A jar that stays empty: tests share the clients, and what one did must not log the next one in."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


def _let_go() -> None:
    """Forget the server: FastAPI remembers thousands of endpoints, and each holds a whole platform."""
    for remembered in (
        models._is_gen_callable_cached,
        models._is_async_gen_callable_cached,
        models._is_coroutine_callable_cached,
    ):
        remembered.cache_clear()
