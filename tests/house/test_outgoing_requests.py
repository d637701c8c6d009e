"""Only `bursar.outgoing` may ask other servers: whatever else imports a client for that is here, and why.

A URL that a user gives reaches what only the server reaches, unless the guard in `outgoing` judges it. So no
other module may bring a client of its own. Clients of stores are bounded by a contract of import-linter
(`pyproject.toml`, `drivers`): they are imported inside `storage` only.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.house.sources import modules

if TYPE_CHECKING:
    from collections.abc import Iterator

GUARD = "src/bursar/outgoing/"
CLIENTS = (
    "aiohttp",
    "ftplib",
    "http.client",
    "httpcore",
    "httpx",
    "imaplib",
    "niquests",
    "nntplib",
    "opentelemetry.exporter",
    "poplib",
    "pycurl",
    "requests",
    "smtplib",
    "socket",
    "telnetlib",
    "urllib.request",
    "urllib3",
    "websockets",
    "xmlrpc",
)
"""Modules with which a program asks another server; `socket` and `opentelemetry.exporter` among them."""
WITHOUT_IMPORT = frozenset({"open_connection", "create_connection", "open_unix_connection"})
"""What asyncio and event loops open connections by."""
ALLOWED: dict[tuple[str, str], str] = {
    ("src/bursar/app/mail.py", "smtplib"): "letters go to the mail server of the operator's settings",
    (
        "src/bursar/app/tracing.py",
        "opentelemetry.exporter",
    ): "spans go to the collector of the operator's settings",
    ("src/bursar/app/server.py", "socket"): "listens, on the address of the operator's settings",
    ("src/bursar/app/operator_socket.py", "socket"): "listens on the socket in the data folder",
    ("src/bursar/cli/connection.py", "socket"): "asks whether a server answers on the folder's socket",
    ("src/bursar/cli/connection.py", "httpx"): "a command's way to that socket",
    ("src/bursar/cli/diagnosis.py", "socket"): "tries whether the port can be listened on",
    (
        "clients/python/src/bursar_client/client.py",
        "httpx",
    ): "the client runs where its user is, and asks the ledger that they name",
}
"""A module and the client that it imports, with the reason why that needs no guard."""


def imported(tree: ast.Module) -> Iterator[str]:
    """The full name of all that a module imports at run time, wherever in it, and what opens connections."""
    for node in _at_run_time(tree):
        if isinstance(node, ast.Import):
            # A package alone gives what others have imported of it: `import urllib` gives `urllib.request`.
            named = {alias.name for alias in node.names}
            yield from named | {one for one in CLIENTS if one.partition(".")[0] in named}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield from WITHOUT_IMPORT.intersection(alias.name for alias in node.names)
        elif isinstance(node, ast.Attribute) and node.attr in WITHOUT_IMPORT:
            yield node.attr


def clients_in(tree: ast.Module) -> set[str]:
    """Which clients a module imports, or opens connections by."""
    names = set(imported(tree))
    found = {client for client in CLIENTS for name in names if f"{name}.".startswith(f"{client}.")}
    return found | (names & WITHOUT_IMPORT)


def _at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            for other in child.orelse:
                yield other
                yield from _at_run_time(other)
            continue
        yield child
        yield from _at_run_time(child)


def test_only_the_guard_and_those_with_a_reason_ask_other_servers() -> None:
    found = {
        (one.name, client)
        for one in modules("src", "clients/python/src")
        if not one.name.startswith(GUARD)
        for client in clients_in(one.tree)
    }
    assert found - ALLOWED.keys() == set(), "ask through `bursar.outgoing`, or say here why not"
    assert ALLOWED.keys() - found == set(), "these reasons are for nothing"


def test_the_guard_itself_is_seen() -> None:
    seen = {one.name: clients_in(one.tree) for one in modules("src/bursar/outgoing")}
    assert seen[GUARD + "transport.py"] == {"httpx", "socket"}


@pytest.mark.parametrize(
    ("text", "client"),
    [
        ("import httpx", "httpx"),
        ("from httpx import AsyncClient", "httpx"),
        ("import urllib.request as r", "urllib.request"),
        ("import urllib", "urllib.request"),
        ("if TYPE_CHECKING:\n    import ast\nelse:\n    import httpx", "httpx"),
        ("from urllib import request", "urllib.request"),
        ("from urllib.request import urlopen", "urllib.request"),
        ("from http import client", "http.client"),
        ("from http.client import HTTPConnection", "http.client"),
        ("def f():\n    try:\n        import smtplib\n    finally: pass", "smtplib"),
        ("import asyncio\nasync def f(): await asyncio.open_connection('h', 1)", "open_connection"),
        ("from asyncio import open_connection", "open_connection"),
    ],
)
def test_every_way_to_import_a_client_is_found(text: str, client: str) -> None:
    assert clients_in(ast.parse(text)) == {client}


@pytest.mark.parametrize(
    "text",
    [
        "from urllib.parse import urlsplit",
        "from http import HTTPStatus",
        "from bursar.outgoing import Outgoing",
        "import requests_of_ours",
        "if TYPE_CHECKING:\n    import httpx",
    ],
)
def test_words_and_types_are_no_clients(text: str) -> None:
    assert clients_in(ast.parse(text)) == set()
