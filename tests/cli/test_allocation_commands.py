"""`bursar allocations` and `bursar unallocated`, beside a running server and on a folder without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.command_line import bursar
from tests.support.access import keys_of
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.serving import RunningServer


@pytest.fixture
def mine(server: RunningServer) -> tuple[str | Path, ...]:
    """A tenant of the server's folder, as options."""
    if not server.client.get("/api/v1/tenants/cli-alloc").is_success:
        keys_of(server, "cli-alloc")
    return "--data", server.platform.folder.path, "--tenant", "cli-alloc"


def test_an_allocation_is_set_listed_and_withdrawn(mine: tuple[str | Path, ...]) -> None:
    made = bursar("allocations", "set", "--project", "p", "--cost-centre", "CC", "--from", "always", *mine)
    assert "from 1970-01-01 on, project p is borne by CC and owned by nobody." in made.out
    ended = bursar(
        *("allocations", "set", "--project", "p", "--cost-centre", "none", "--from", "2026-06-01"),
        *(*mine, "--json"),
    ).json
    assert (ended["valid_from"], ended["cost_centre"]) == ("2026-06-01", None)
    listed = bursar("allocations", "list", "--on", "2026-05-31", *mine, "--json").json
    assert [(one["cost_centre"], one["valid_to"]) for one in listed] == [("CC", "2026-06-01")]
    assert bursar("allocations", "withdraw", ended["id"], *mine).out == f"Withdrawn: {ended['id']}.\n"
    (left,) = bursar("allocations", "list", "--project", "p", *mine, "--json").json
    assert left["valid_to"] is None
    history = bursar("allocations", "list", "--history", *mine).out
    assert ended["id"] in history
    assert "replaced_at" in history


@pytest.mark.parametrize("named", [(), ("--project", "p", "--user", "u")])
def test_one_bearer_must_be_named(mine: tuple[str | Path, ...], named: tuple[str, ...]) -> None:
    refused = bursar("allocations", "set", "--owner", "ana", *named, *mine)
    assert refused.code == 2
    assert "one of --project, --user and --api-key" in refused.err


def test_what_is_refused_says_why(mine: tuple[str | Path, ...]) -> None:
    refused = bursar("allocations", "set", "--user", "u", "--cost-centre", "unallocated", *mine)
    assert refused.code == 1
    assert "send null instead" in refused.err


def test_all_that_is_wrong_is_said_in_the_words_of_a_command(mine: tuple[str | Path, ...]) -> None:
    wrong = ("--from", "soon", "--cost-centre", "unallocated")
    refused = bursar("allocations", "set", "--project", "p", *wrong, *mine)
    assert refused.err.splitlines()[-2:] == [
        "  valid_from: it must be a date, such as 2026-10-01.",
        "  cost_centre: 'unallocated' is what has none; send null instead.",
    ]


def test_without_a_server_it_works_on_the_folder(tmp_path: Path) -> None:
    with running_server(tmp_path):
        pass
    bursar("allocations", "set", "--user", "ben", "--owner", "ana", "--data", tmp_path)
    (kept,) = bursar("allocations", "list", "--owner", "ana", "--data", tmp_path, "--json").json
    assert (kept["kind"], kept["subject"]) == ("user", "ben")
    told = bursar("unallocated", "--data", tmp_path)
    assert told.out == "Unallocated by cost_centre: 0 of 0 events\n"
