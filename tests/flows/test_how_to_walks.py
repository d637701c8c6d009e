"""The how-to pages about prices and bills go as they are told: each is walked block by block, in a shell.

A test bears its page's name. What pages say with requests instead of commands is in `test_documents.py`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.command_line import bursar
from tests.support.serving import RunningServer, running_server
from tests.support.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A server with nothing in it, in a folder where a page may write its files."""
    with running_server(tmp_path / "ledger") as server:
        yield server


def walked(page: str, server: RunningServer) -> list[str]:
    """What each block of the page printed."""
    return walk(f"how-to/{page}", server.platform.folder.path)


def words(text: str) -> list[list[str]]:
    """The words of each line."""
    return [line.split() for line in text.splitlines()]


def test_give_access(server: RunningServer) -> None:
    made, followed, roles, ended, keys, tokens = walked("give-access", server)
    assert f"{server.url}/welcome#bur_link_" in made
    assert followed.splitlines()[-2:] == ['"email":"ada@example.com"', '"token_type":"Bearer"']
    assert "has the role money now." in roles
    assert "roles: member@search, viewer, money" in roles or "roles: viewer, member@search, money" in roles
    assert "/welcome#bur_link_" in ended
    assert ended.splitlines()[-4:] == [
        "Ended 2 sessions of ada@example.com.",
        "bob@example.com is suspended.",
        "bob@example.com may log in again.",
        "Removed bob@example.com.",
    ]
    assert "revoked" in keys
    assert "Production app" in tokens


def test_o3_got_cheaper(server: RunningServer) -> None:
    sent, history, news, rated, after = walked("o3-got-cheaper", server)
    assert "o3-may: 1.8 USD (priced)" in sent
    assert "o3-july: 0.36 USD (priced)" in sent
    assert [line[:2] for line in words(history) if line[:1] == ["output_tokens"]][:2] == [
        ["output_tokens", "40"],
        ["output_tokens", "8"],
    ]
    assert ["-25", "%"] in [
        line[7:9] for line in words(news) if line[:4] == ["changed", "openai", "o3", "input_tokens"]
    ]
    assert ["USD", "0.36", "0.27", "-0.09"] in words(rated)
    assert "Events rated anew: 1." in rated
    assert "o3-november: 0.27 USD (priced)" in after
    assert "0.36 USD (priced)" in after
    assert "o3 got cheaper on 1 November" in after
    assert "o3-july: 0.36 USD (priced)" in after
    assert "ties out" in after


def test_charge_to_cost_centres(server: RunningServer) -> None:
    _, nobody, given, by_centre, moved, listed, explained, left = walked("charge-to-cost-centres", server)
    assert "Unallocated by cost_centre: 4 of 4 events (100.0 %)" in nobody
    assert ["search", "6", "USD", "2"] in words(nobody)
    assert "project search is borne by CC-4711 and owned by ana." in given
    assert ["CC-4711", "USD", "6", "2"] in words(by_centre)
    assert ["unallocated", "USD", "4", "2"] in words(by_centre)
    assert "from 2026-11-16 on, project search is borne by CC-9 and owned by ana." in moved
    assert ["CC-4711", "USD", "2", "1"] in words(moved)
    assert ["CC-9", "USD", "4", "1"] in words(moved)
    assert ["1970-01-01", "2026-11-16", "CC-4711", "ana"] in [line[3:7] for line in words(listed)]
    assert "Cost centre: CC-4711 (of its project, since 1970-01-01)" in explained
    assert "Unallocated by cost_centre: 1 of 4 events (25.0 %)" in left
    assert "  1 of 10 USD (10.0 %)" in left


def test_keep_personal_data_out(server: RunningServer) -> None:
    by_default, chosen, _, shown = walked("keep-personal-data-out", server)
    assert "E-123456, ada@example.com, [redacted:key]" in by_default
    assert "Taken out: text 1, key 1." in by_default
    assert "[redacted:employee], [email:" in chosen
    assert "Of metadata only these are kept: note, ticket." in shown
    assert ["employee", "mark", r"\bE-[0-9]{6}\b", "1"] in words(shown)
    assert "0.00027" in shown
    kept = server.client.get("/api/v1/events/poem").json()["metadata"]
    assert kept.keys() == {"ticket", "note"}


def test_a_new_model_was_unpriced(server: RunningServer) -> None:
    sent, listed, rated, after = walked("a-new-model-was-unpriced", server)
    assert "2 of them have no known price (unknown_model 2)" in sent
    assert "0.65 USD" in listed
    assert ["had", "no", "price", "and", "get", "one", "2"] in words(rated)
    assert "Everything that is selected has a price." in after
    assert ["gpt-7-nova", "USD", "0.88", "2", "200000", "40000"] in words(after)
    assert "new-1: 0.6 USD (priced)" in after
    assert "unpriced: unknown_model" in after


def test_we_negotiated_12_percent(server: RunningServer) -> None:
    _sent, agreed, rated, after = walked("we-negotiated-12-percent", server)
    assert "discount of 12 %" in agreed
    assert ["USD", "0.36", "0.3168", "-0.0432"] in words(rated)
    assert "november: 0.3168 USD (priced)" in after
    assert "october: 0.36 USD (priced)" in after
    assert "discount 12 %" in after


def test_report_in_one_currency(server: RunningServer) -> None:
    before, rates, told, unasked = walked("report-in-one-currency", server)
    assert "In EUR: unknown" in before
    assert "no exchange rate of GBP for 1 days (2026-11-18 to 2026-11-18)" in before
    assert "Entered 4 rates; 0 were entered already." in rates
    # 1.6 + 4 + 1.818181818182
    assert "In EUR: 7.418181818182" in told
    assert "  2 USD of 2026-11-21 to 2026-11-21 by 1 EUR = 1.1000 USD (2026-11-20)" in told
    assert "In EUR: 7.418181818182" in unasked


def test_keep_prices_current(server: RunningServer) -> None:
    sources, shown, first, cheaper, dated, filled, told = walked("keep-prices-current", server)
    assert "genai-prices" in sources
    assert shown.index(" 2 ") < shown.index(" 10 "), "o3 costs a fifth of what it did"
    assert "newco-1" in first
    assert "Update 2 was kept." in first
    assert "-25 %" in cheaper
    assert "Update 3 was kept." in cheaper
    assert "#3" in cheaper
    assert "1.25" in dated
    assert "disagrees 1 times" in filled
    assert "+20 %" in filled
    assert "litellm" in filled
    assert "newco got cheaper" in told
    assert "no_prices" in told


def test_bill_your_own_service(server: RunningServer) -> None:
    registered, imported, tried, recorded = walked("bill-your-own-service", server)
    costs = [
        server.client.get(f"/api/v1/events/{event_id}/explain").json()["total"] for event_id in ("p-1", "p-2")
    ]
    rule = server.client.get("/api/v1/billing-rules").json()["items"][0]["id"]
    withdrawn = bursar("billing-rules", "withdraw", rule, "--data", server.platform.folder.path)
    assert "Registered custom_ml_service, version 1." in registered
    assert "2" in imported
    assert costs == ["0.5", "1.5"]
    assert "1.1 USD by tried (billing_rule:default)." in tried
    assert f"1.1 USD by {rule} (billing_rule:default)." in recorded
    assert withdrawn.out == f"Withdrew {rule}.\n"


def test_bill_by_the_month(server: RunningServer) -> None:
    _calls, _seats, shown, closed, _late, october, november, _estimate = walked("bill-by-the-month", server)
    assert "119.75" in shown
    assert "Closed: 2026-10." in closed
    kept = json.loads(october)
    assert (kept["month"], kept["state"], kept["totals"][0]["total"]) == ("2026-10", "closed", "119.75")
    corrections = json.loads(november)["corrections"]
    assert [(one["month"], one["lines"][0]["amount"]) for one in corrections] == [("2026-10", "0.75")]
