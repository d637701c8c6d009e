"""`bursar audit`: lists, verifies and exports the audit log, with and without a server."""

from __future__ import annotations

import json
import os
import pwd
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete

from bursar.storage.relational.engine import make_engine
from bursar.storage.relational.tables.audit import AUDIT_ENTRIES
from bursar.storage.relational.transactions import writing
from tests.cli.command_line import bursar
from tests.support.prepared import prepare_folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder without a server in which two keys were made."""
    folder = tmp_path / "data"
    prepare_folder(folder)
    for label in ("one", "two"):
        assert bursar("keys", "create", "--data", folder, "--label", label, "--scope", "read").code == 0
    return folder


def acts_of(data: Path, family: str) -> list[dict[str, Any]]:
    """What the audit log has of acts whose words begin so, the first one first."""
    return bursar("audit", "list", "--data", data, "--act", family, "--json").json[::-1]


def test_a_backup_a_restore_and_a_rebuild_without_a_server_are_acts_of_the_machines_account(
    data: Path, tmp_path: Path
) -> None:
    assert bursar("rebuild", "--data", data).code == 0
    assert bursar("backup", tmp_path / "backup", "--data", data).code == 0
    assert bursar("restore", tmp_path / "backup", "--data", tmp_path / "restored").code == 0
    account = {"kind": "command", "id": pwd.getpwuid(os.geteuid()).pw_name, "is_operator": True}
    *original, begun, done = acts_of(tmp_path / "restored", "ledger.")
    words = [(one["act"], one["outcome"]) for one in acts_of(data, "ledger.")]
    assert words == [(f"ledger.{word}", end) for word in ("rebuild", "backup") for end in ("begun", "done")]
    assert all(one["actor"] == account for one in [*original, begun, done])
    # The copy was made in the middle of its own entry.
    assert [(one["act"], one["outcome"]) for one in original] == words[:3]
    assert (begun["act"], begun["asked"]["directory"]) == ("ledger.restore", str(tmp_path / "backup"))
    assert (done["outcome"], done["begun"], done["after"]["is_clean"]) == ("done", begun["number"], True)
    for folder in (data, tmp_path / "restored"):
        assert bursar("audit", "verify", "--data", folder, "--json").json["is_clean"]


def test_a_command_that_fails_says_so_in_the_log(data: Path) -> None:
    assert bursar("backup", data / "inside", "--data", data).code == 1
    begun, failed = acts_of(data, "ledger.")
    said = (failed["outcome"], failed["begun"], failed["reason"])
    assert said == ("failed", begun["number"], "configuration")


def test_what_commands_did_is_listed_the_latest_first(data: Path) -> None:
    shown = bursar("audit", "list", "--data", data)
    assert shown.code == 0
    assert "key.create" in shown.out
    assert "socket (operator)" in shown.out
    found = bursar("audit", "list", "--data", data, "--outcome", "done", "--act", "key.", "--json").json
    assert [one["after"]["label"] for one in found if one["after"]] == ["two", "one"]
    assert bursar("audit", "list", "--data", data, "--act", "none").out == "There is no such entry.\n"


def test_no_id_that_somebody_asked_for_steers_the_terminal_of_who_reads(data: Path) -> None:
    steering = "\x1b]0;owned\x07\x9b2J\u202e\r"
    assert bursar("keys", "revoke", steering, "--data", data).code == 1
    shown = bursar("audit", "list", "--data", data, "--act", "key.revoke")
    assert not set(steering) - set("]0;owned2J") & set(shown.out)
    assert r"\x1b]0;owned\x07\x9b2J\u202e\r" in shown.out


def test_an_export_has_every_entry_as_a_line(data: Path) -> None:
    lines = bursar("audit", "export", "--data", data).out.splitlines()
    assert [json.loads(line)["number"] for line in lines] == [*range(len(lines), 0, -1)]
    assert all(any(f'"label": "{label}"' in line for line in lines) for label in ("one", "two"))
    assert [(one["act"], one["outcome"]) for one in acts_of(data, "audit.")] == [
        ("audit.export", "begun"),
        ("audit.export", "done"),
    ]
    assert bursar("audit", "export", "--data", data, "--act", "none").out == ""
    refused = bursar("audit", "export", "--data", data, "--from", "today")
    assert (refused.code, refused.out) == (1, "")


def test_verifying_says_that_all_is_whole_and_exits_with_3_when_it_isnt(data: Path) -> None:
    whole = bursar("audit", "verify", "--data", data)
    assert (whole.code, "whole" in whole.out) == (0, True)
    engine = make_engine(f"sqlite:///{data / 'state.db'}")
    with writing(engine) as connection:
        connection.execute(delete(AUDIT_ENTRIES).where(AUDIT_ENTRIES.c.number == 2))
    engine.dispose()
    found = bursar("audit", "verify", "--data", data)
    assert (found.code, "(platform): entry 2: missing" in found.out) == (3, True)
    assert not bursar("audit", "verify", "--data", data, "--json").json["is_clean"]
