"""`bursar rates` and `bursar billing settings`, beside a running server and on a folder without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.command_line import bursar
from tests.support.access import keys_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.serving import RunningServer

HISTORY = "Date,USD,GBP,\n2026-11-20,1.0850,0.8412,\n2026-11-19,1.0832,N/A,\n"


@pytest.fixture
def data(server: RunningServer) -> Path:
    return server.platform.folder.path


def test_a_rate_is_entered_listed_and_withdrawn(server: RunningServer, data: Path) -> None:
    keys_of(server, "cli-fx")
    mine = ("--data", data, "--tenant", "cli-fx")
    assert bursar("rates", "add", "2026-11-20", "EUR", "USD", "1.0850", *mine).out == "Entered.\n"
    again = bursar("rates", "add", "2026-11-20", "EUR", "USD", "1.085", *mine)
    assert again.out == "It was entered just so already.\n"
    (kept,) = bursar("rates", "list", *mine, "--json").json
    assert (kept["rate"], kept["shared"]) == ("1.0850", False)
    gone = bursar("rates", "withdraw", kept["id"], "--reason", "a typo", *mine)
    assert gone.out == "Withdrew EUR/USD of 2026-11-20 (1.0850).\n"
    assert bursar("rates", "list", *mine, "--json").json == []
    assert "1.0850" in bursar("rates", "list", "--withdrawn", *mine).out


def test_a_file_of_the_ecb_is_imported_for_all(server: RunningServer, data: Path, tmp_path: Path) -> None:
    keys_of(server, "cli-fx-all")
    file = tmp_path / "eurofxref-hist.csv"
    file.write_text(HISTORY)
    done = bursar("rates", "import", file, "--source", "ECB", "--shared", "--data", data)
    assert done.out == "Entered 3 rates; 0 were entered already.\n"
    again = bursar("rates", "import", file, "--source", "ECB", "--shared", "--data", data, "--json")
    assert again.json == {"added": 0, "unchanged": 3}
    listed = bursar("rates", "list", "--currency", "USD", "--since", "2026-11-20", "--data", data, "--json")
    assert [(one["date"], one["rate"], one["source"]) for one in listed.json] == [
        ("2026-11-20", "1.0850", "ECB")
    ]


def test_a_file_that_is_wrong_is_refused_with_its_lines_and_nothing_is_entered(
    server: RunningServer, data: Path, tmp_path: Path
) -> None:
    keys_of(server, "cli-fx-bad")
    file = tmp_path / "rates.csv"
    file.write_text("Date,USD\n2026-11-20,1.1\n2026-11-19,-1\n")
    refused = bursar("rates", "import", file, "--data", data, "--tenant", "cli-fx-bad")
    assert refused.code == 1
    assert "line 3, USD: '-1' is no rate" in refused.err
    assert bursar("rates", "list", "--data", data, "--tenant", "cli-fx-bad", "--currency", "USD").code == 0
    file.write_bytes(b"Date,USD\n\xff")
    assert "no UTF-8" in bursar("rates", "import", file, "--data", data).err


def test_how_costs_are_told_is_shown_and_chosen_piece_by_piece(server: RunningServer, data: Path) -> None:
    keys_of(server, "cli-settings")
    mine = ("--data", data, "--tenant", "cli-settings")
    assert "the currencies they arose in" in bursar("billing", "settings", *mine).out
    bursar("billing", "settings", "--currency", "EUR", "--trust", "xai", "--trust", "openrouter", *mine)
    chosen = bursar("billing", "settings", "--rate-days", "0", *mine, "--json").json
    assert chosen == {
        "tenant_id": "cli-settings",
        "reporting_currency": "EUR",
        "exchange_rate_days": 0,
        "trusted_providers": ["openrouter", "x-ai"],
    }
    none = bursar("billing", "settings", "--currency", "none", "--trust", "none", *mine, "--json").json
    assert (none["reporting_currency"], none["trusted_providers"]) == (None, [])
    refused = bursar("billing", "settings", "--currency", "euro", *mine)
    assert (refused.code, "reporting_currency" in refused.err) == (1, True)
