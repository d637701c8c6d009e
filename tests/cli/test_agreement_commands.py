"""`bursar prices override` and `bursar prices alias`: agreed on, listed, withdrawn, and said in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.command_line import bursar
from tests.support.access import ask, keys_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.serving import RunningServer


@pytest.fixture
def data(server: RunningServer) -> Path:
    return server.platform.folder.path


def cost_of(server: RunningServer, key: str, model: str, **event: object) -> str | None:
    asked = {"provider": "openai", "model": model, "input_tokens": 1_000_000, **event}
    checked = ask(server, key, "POST", "/api/v1/prices/check", json=asked).raise_for_status().json()
    total: str | None = checked["items"][0]["explanation"]["total"]
    return total


def test_a_discount_is_agreed_on_listed_and_withdrawn(server: RunningServer, data: Path) -> None:
    keys = keys_of(server, "cli-ov")
    mine = ("--data", data, "--tenant", "cli-ov")
    add = ("prices", "override", "add", "discount", "12", "--provider", "openai", "--from", "2026-11-01")
    made = bursar(*add, *mine)
    assert made.code == 0, made.err
    assert made.out.startswith("Agreed on ovr_")
    assert made.out.endswith(": discount of 12 %.\n")
    assert "fall under it: 0" in made.err
    assert cost_of(server, keys["read"], "gpt-4o") == "2.2"
    (kept,) = bursar("prices", "override", "list", *mine, "--json").json
    assert (kept["valid_from"], kept["percent"]) == ("2026-11-01T00:00:00Z", "12")
    assert "discount of 12 %" in bursar("prices", "override", "list", *mine).out
    gone = bursar("prices", "override", "withdraw", kept["id"], "--reason", "renegotiated", *mine)
    assert gone.out == f"Withdrew {kept['id']}: discount of 12 %.\n"
    assert cost_of(server, keys["read"], "gpt-4o") == "2.5"
    assert bursar("prices", "override", "list", *mine, "--json").json == []
    assert "renegotiated" in bursar("prices", "override", "list", "--withdrawn", *mine).out


def test_a_contract_has_prices_and_conditions(server: RunningServer, data: Path) -> None:
    keys = keys_of(server, "cli-contract")
    mine = ("--data", data, "--tenant", "cli-contract")
    add = ("prices", "override", "add", "contract", "--provider", "openai", "--model", "gpt-4o")
    prices = ("--price", "input_tokens=2.00", "--price", "output_tokens=8")
    when = ("--when", "weekdays=sat,sun", "--when", "context_upto=200000", "--when", "batch=no")
    made = bursar(*add, "--from", "2026-01-01", *prices, *when, "--until", "2027-01-01", *mine, "--json").json
    assert (made["weekdays"], made["context_upto"], made["batch"]) == (["sat", "sun"], 200_000, False)
    assert made["valid_to"] == "2027-01-01T00:00:00Z"
    # A Saturday, and the Friday before it.
    saturday, friday = {"time": "2026-11-21T12:00:00Z"}, {"time": "2026-11-20T12:00:00Z"}
    small = {"context_tokens": 1000}
    assert cost_of(server, keys["read"], "gpt-4o", **saturday, **small) == "2"
    assert cost_of(server, keys["read"], "gpt-4o", **friday, **small) == "2.5"
    listed = bursar("prices", "override", "list", *mine).out
    assert "USD: input_tokens 2 per 1,000,000, output_tokens 8 per 1,000,000" in listed


def test_units_that_a_contract_leaves_without_a_rate_are_said(server: RunningServer, data: Path) -> None:
    keys_of(server, "cli-euros")
    add = ("prices", "override", "add", "contract", "--provider", "openai", "--model", "gpt-4o")
    terms = ("--from", "2026-01-01", "--currency", "EUR", "--price", "input_tokens=2.00")
    made = bursar(*add, *terms, "--data", data, "--tenant", "cli-euros")
    assert made.code == 0, made.err
    assert "Warning: Calls of openai/gpt-4o that use " in made.err
    assert "output_tokens are unpriced" in made.err or "output_tokens, " in made.err


def test_the_other_kinds_are_said_in_words(server: RunningServer, data: Path) -> None:
    keys_of(server, "cli-kinds")
    mine = ("--from", "2026-01-01", "--data", data, "--tenant", "cli-kinds")
    for kind, number, words in (
        ("markup", "5", "markup of 5 %"),
        ("multiplier", "1.25", "times 1.25"),
        ("fee", "0.001", "0.001 USD a request"),
    ):
        assert bursar("prices", "override", "add", kind, number, *mine).out.endswith(f": {words}.\n")


def test_what_is_wrong_is_said_a_line_each(data: Path) -> None:
    add = ("prices", "override", "add", "discount", "120", "--from", "2026-11-02", "--until", "2026-11-01")
    refused = bursar(*add, "--data", data)
    assert refused.code == 1
    assert "percent must be a number from 0 to 100" in refused.err
    assert "valid_to must be later than valid_from" in refused.err
    odd = bursar(
        "prices", "override", "add", "contract", "--from", "2026-01-01", "--price", "x", "--data", data
    )
    assert (odd.code, "no NAME=VALUE" in odd.err) == (2, True)


def test_an_alias_is_added_listed_and_removed(server: RunningServer, data: Path) -> None:
    keys = keys_of(server, "cli-alias")
    mine = ("--data", data, "--tenant", "cli-alias")
    made = bursar("prices", "alias", "add", "prod-chat", "gpt-4o", "--provider", "openai", *mine)
    assert made.out.startswith("prod-chat stands for gpt-4o (alias_")
    assert cost_of(server, keys["read"], "prod-chat") == "2.5"
    (kept,) = bursar("prices", "alias", "list", *mine, "--json").json
    gone = bursar("prices", "alias", "remove", kept["id"], "--reason", "torn down", *mine)
    assert gone.out == "prod-chat stands for nothing any more.\n"
    assert cost_of(server, keys["read"], "prod-chat") is None
