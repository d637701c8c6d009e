"""The table of a data folder's files in `docs/explanation/security.md` names every one that there is."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.access import ask, keys_of
from tests.support.serving import running_server

if TYPE_CHECKING:
    from tests.support.serving import RunningServer

PAGE = Path(__file__).parents[2] / "docs/explanation/security.md"


def named_files() -> set[str]:
    """What the table's first column names; a `*` stands for any word."""
    table = PAGE.read_text().partition("## What lies where")[2].partition("\n## ")[0]
    rows = (line.split("|")[1] for line in table.splitlines() if line.startswith("| "))
    named = {name.partition("/")[0] for row in rows for name in re.findall(r"`([^`]+)`", row)}
    return {f"state.db{name}" if name.startswith("-") else name for name in named}


def keep_something_of_everything(server: RunningServer) -> None:
    """Events, a secret, and rules that need a key."""
    admin = keys_of(server, "acme")["admin"]
    rules = {"detectors": {"email": "hash"}}
    ask(server, admin, "PUT", "/api/v1/privacy", json=rules).raise_for_status()
    event = {"provider": "openai", "model": "gpt-4o-mini", "input_tokens": 1}
    server.client.post("/api/v1/events?wait=applied", json=event).raise_for_status()


def test_every_file_of_a_data_folder_is_told_in_the_table_of_what_is_encrypted(tmp_path: Path) -> None:
    named = named_files()
    with running_server(tmp_path / "data") as server:
        keep_something_of_everything(server)
        found = {path.name for path in (tmp_path / "data").iterdir()}

    assert {"journal", "state.db", "encryption.key", "secret.key"} <= found
    untold = {name for name in found if not any(fnmatch(name, one) for one in (*named, "*.wal", "*-shm"))}
    assert untold == set()
