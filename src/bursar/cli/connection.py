"""How a command reaches the ledger: a server elsewhere, the one on the data folder, or one just for this.

The HTTP API is the only way in, so that a command obeys the same rules as everybody: where no server
runs on the folder, this process serves it on the folder's socket until the command is done.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import httpx

from bursar.app.operator_socket import address_of
from bursar.errors import ConfigurationError
from bursar.settings import load_settings
from bursar_client import BursarClient, RetryPolicy
from bursar_client.client import DEFAULT_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from bursar.cli.options import Target
    from bursar.settings import Settings

SOCKET_NAME = "bursar.sock"
START_SECONDS = 30.0
"""A server that has taken its folder answers within a second or two, after an upgrade or a kill later."""
POLL_SECONDS = 0.05
PAGE_LIMIT = 500
"""The most that lists give per page."""
HURRIED = RetryPolicy(tries=3, first_wait_seconds=0.1, longest_wait_seconds=2.0)
"""Somebody waits at the keyboard, and will see whether it is worth trying again."""
PATIENT = RetryPolicy(tries=8)
"""For commands that send much, where a busy server is to be expected."""


@contextmanager
def open_ledger(target: Target, retries: RetryPolicy = HURRIED) -> Generator[BursarClient]:
    """A client of the ledger that the options name, as its operator where it is on this machine.

    Raises:
        ConfigurationError: a setting or option is wrong, or there is no data folder.
        FolderInUse: a process holds the folder, and no server answers on it.
    """
    if target.url is not None:
        _refuse_bad_url(target.url)
        with BursarClient(target.url, target.key, retries=retries) as client:
            yield client
        return
    _refuse_idle_key(target.key)
    # What a command presents to a server elsewhere names no key to be made in a folder here.
    settings = load_settings(data_dir=target.data).model_copy(update={"api_key": None})
    path = socket_of(settings)
    if not is_served(path):
        refuse_missing_folder(settings)
    if is_served(path) or _begins_to_serve(settings.data_dir, path):
        with client_of_socket(path, retries) as client:
            yield client
        return
    # Imported only here: a whole server is much to load, and mostly one is running already.
    from bursar.cli.local_server import serving_socket

    with serving_socket(settings), client_of_socket(path, retries) as client:
        yield client


def _begins_to_serve(folder: Path, path: Path) -> bool:
    """Whether a process that holds the folder serves it soon: a server takes its folder before it listens."""
    from bursar.cli.printing import say
    from bursar.storage.folder import DataFolder, is_held

    deadline = time.monotonic() + START_SECONDS
    has_said = False
    while is_held(DataFolder(folder)):
        if is_served(path):
            return True
        if time.monotonic() > deadline:
            # Whoever opens the folder next says which process holds it.
            return False
        if not has_said:
            say(f"Another process has just taken {folder}; waiting for it to answer …")
            has_said = True
        time.sleep(POLL_SECONDS)
    return is_served(path)


def _refuse_bad_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        message = f"{url!r} is no address of a server. Write it with its scheme: http://127.0.0.1:8000."
        raise ConfigurationError(message)


def _refuse_idle_key(key: str | None) -> None:
    """A key given for nothing was meant for something; one in the environment may be the server's own."""
    if key is not None and key != os.environ.get("BURSAR_API_KEY"):
        message = (
            "--key is for a server that --url names. On this machine's data folder commands act as its"
            " operator and need none: leave --key out, or add --url."
        )
        raise ConfigurationError(message)


def socket_of(settings: Settings) -> Path:
    """Where a server on the settings' data folder listens for commands."""
    return settings.data_dir / SOCKET_NAME


def is_served(path: Path) -> bool:
    """Whether a server answers on the socket; one left behind by a crash does not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(address_of(path))
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            return False
        except OSError as error:
            message = f"The socket {path} can't be used: {error.strerror or error}."
            raise ConfigurationError(message) from error
    return True


def client_of_socket(
    path: Path, retries: RetryPolicy = HURRIED, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
) -> BursarClient:
    """A client that talks to the server on this socket."""
    # Without the authorities for TLS, which no socket has and which take a tenth of a command's time to load.
    transport = httpx.HTTPTransport(uds=address_of(path), verify=False)
    return BursarClient(
        "http://bursar.socket", timeout_seconds=timeout_seconds, retries=retries, transport=transport
    )


def refuse_missing_folder(settings: Settings) -> None:
    """Let only a folder pass that a Bursar has used, so that a mistyped name makes no new one.

    Raises:
        ConfigurationError: there is none.
    """
    if not (settings.data_dir / "FORMAT").is_file():
        message = (
            f"There is no data folder at {settings.data_dir}."
            f" Make one with `bursar serve --data {settings.data_dir}`, or name another with --data."
        )
        raise ConfigurationError(message)


def path_of(collection: str, item_id: str) -> str:
    """The path of one item, whatever characters its id has."""
    return f"{collection}/{quote(item_id, safe='')}"


def ask(target: Target, method: str, path: str, body: object = None) -> Mapping[str, Any]:
    """What the ledger answers to one request about the tenant that the options name.

    Raises:
        ConfigurationError, FolderInUse: as `open_ledger` says.
        BursarClientError: it is refused, or nobody answers.
    """
    with open_ledger(target) as client:
        return client.request(method, path, body=body, params=target.params)


def ask_list(target: Target, path: str) -> list[dict[str, Any]]:
    """All items of a list about the tenant that the options name; raises what `ask` does."""
    with open_ledger(target) as client:
        return whole_list(client, path, target.params)


def whole_list(
    client: BursarClient, path: str, named: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """All items of a list, page after page."""
    items: list[dict[str, Any]] = []
    params: dict[str, Any] = {**(named or {}), "limit": PAGE_LIMIT}
    while True:
        page = client.request("GET", path, params=params)
        items += page["items"]
        if not page.get("next_cursor"):
            return items
        params["cursor"] = page["next_cursor"]
