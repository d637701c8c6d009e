"""The how-to pages go as they are told: each is walked block by block, in a shell.

A test bears its page's name; walks of many commands are `long`. What pages say with requests instead of
commands is in `test_documents.py`.
"""

from __future__ import annotations

import json
import subprocess
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bursar.settings import load_settings
from tests.cli.command_line import bursar
from tests.support.people import PASSWORD
from tests.support.serving import RunningServer, running_server
from tests.support.walk import blocks_of, walk, walk_in_one_shell

if TYPE_CHECKING:
    from collections.abc import Iterator


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


@pytest.mark.long
def test_give_access(server: RunningServer) -> None:
    made, followed, roles, paused, ended, keys, tokens = walked("give-access", server)
    assert f"{server.url}/welcome#bur_link_" in made
    assert followed.splitlines()[-2:] == ['"email":"ada@example.com"', '"token_type":"Bearer"']
    assert "has the role money now." in roles
    assert "roles: member@search, viewer, money" in roles or "roles: viewer, member@search, money" in roles
    assert "Project search of tenant acme is suspended." in paused
    assert ["search", "Search", "acme", "suspended"] in [line[:4] for line in words(paused)]
    assert paused.splitlines()[-1] == "Project search of tenant acme is active."
    assert "/welcome#bur_link_" in ended
    assert ended.splitlines()[-4:] == [
        "Ended 2 sessions of ada@example.com.",
        "bob@example.com is suspended.",
        "bob@example.com may log in again.",
        "Removed bob@example.com.",
    ]
    assert "revoked" in keys
    assert "Production app" in tokens


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
def test_a_new_model_was_unpriced(server: RunningServer) -> None:
    sent, listed, rated, after = walked("a-new-model-was-unpriced", server)
    assert "2 of them have no known price (unknown_model 2)" in sent
    assert "0.65 USD" in listed
    assert ["had", "no", "price", "and", "get", "one", "2"] in words(rated)
    assert "Everything that is selected has a price." in after
    assert ["gpt-7-nova", "USD", "0.88", "2", "200000", "40000"] in words(after)
    assert "new-1: 0.6 USD (priced)" in after
    assert "unpriced: unknown_model" in after


@pytest.mark.long
def test_we_negotiated_12_percent(server: RunningServer) -> None:
    _sent, agreed, rated, after = walked("we-negotiated-12-percent", server)
    assert "discount of 12 %" in agreed
    assert ["USD", "0.36", "0.3168", "-0.0432"] in words(rated)
    assert "november: 0.3168 USD (priced)" in after
    assert "october: 0.36 USD (priced)" in after
    assert "discount 12 %" in after


@pytest.mark.long
def test_report_in_one_currency(server: RunningServer) -> None:
    before, rates, told, unasked = walked("report-in-one-currency", server)
    assert "In EUR: unknown" in before
    assert "no exchange rate of GBP for 1 days (2026-11-18 to 2026-11-18)" in before
    assert "Entered 4 rates; 0 were entered already." in rates
    # 1.6 + 4 + 1.818181818182
    assert "In EUR: 7.418181818182" in told
    assert "  2 USD of 2026-11-21 to 2026-11-21 by 1 EUR = 1.1000 USD (2026-11-20)" in told
    assert "In EUR: 7.418181818182" in unasked


@pytest.mark.long
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


@pytest.mark.long
def test_bill_by_the_month(server: RunningServer) -> None:
    _calls, _seats, shown, closed, _late, october, november, _estimate = walked("bill-by-the-month", server)
    assert "119.75" in shown
    assert "Closed: 2026-10." in closed
    kept = json.loads(october)
    assert (kept["month"], kept["state"], kept["totals"][0]["total"]) == ("2026-10", "closed", "119.75")
    corrections = json.loads(november)["corrections"]
    assert [(one["month"], one["lines"][0]["amount"]) for one in corrections] == [("2026-10", "0.75")]


def a_tenant(server: RunningServer, tenant_id: str) -> None:
    """A tenant that a page takes for granted."""
    server.client.post("/api/v1/tenants", json={"id": tenant_id}).raise_for_status()


def test_set_quotas(server: RunningServer) -> None:
    a_tenant(server, "acme")
    told, of_project = walked("set-quotas", server)
    assert ["events", "hard", "1000000", "–", "0", "1000000"] in [line[:6] for line in words(told)]
    assert ["cost", "soft", "2500", "EUR", "0", "2500"] in [line[:6] for line in words(told)]
    assert ["events", "hard", "50000", "–", "0", "50000"] in [line[:6] for line in words(of_project)]
    assert ["cost", "hard", "400", "USD", "0", "400"] in [line[:6] for line in words(of_project)]
    left = server.client.get("/api/v1/quotas", params={"tenant_id": "acme"}).json()
    assert [one["measure"] for one in left["items"]] == ["cost"]


def test_limit_requests(server: RunningServer) -> None:
    a_tenant(server, "acme")
    set_for_all, own = walked("limit-requests", server)
    assert set_for_all == ""
    assert ["ingest", "60000", "5000", "yes"] in [line[:4] for line in words(own)]
    assert "Removed the tenant's own limit on ingest." in own
    limits = load_settings(settings_of("limit-requests"))
    assert (limits.rate_limit_rpm, limits.rate_limit_burst) == (600, 100)
    assert (limits.rate_limit_ingest_tenant_rpm, limits.rate_limit_address_rpm) == (60_000, 3_000)


def test_harden() -> None:
    chosen = load_settings(settings_of("harden"))
    assert chosen.environment == "production"
    assert chosen.allowed_hosts == ("bursar.example.com",)
    assert chosen.trusted_proxies == (ip_network("127.0.0.1"), ip_network("10.0.0.0/24"))
    assert chosen.encryption_key_file == Path("/etc/bursar/encryption.key")
    assert chosen.secret_key is not None
    assert "sslmode=verify-full" in (chosen.database_url or "")
    assert (chosen.redis_url or "").startswith("rediss://")
    limited = ("address_rpm", "tenant_rpm", "ingest_address_rpm", "ingest_tenant_rpm")
    assert all(getattr(chosen, f"rate_limit_{name}") for name in limited)


def settings_of(page: str) -> dict[str, str]:
    """What all `export` lines of a page set, as a shell reads them; files that they read hold 64 digits."""
    exports = [
        line
        for block in blocks_of(f"how-to/{page}")
        for line in block.splitlines()
        if line.startswith("export ")
    ]
    script = "\n".join(["cat() { printf %064d 7; }", *exports, "env -0"])
    done = subprocess.run(
        ["/bin/bash", "-euc", script],
        env={"PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    assert found.keys() > {"PATH"}
    return found


@pytest.mark.long
def test_keep_an_audit_trail(server: RunningServer) -> None:
    a_tenant(server, "acme")
    read, kept_elsewhere, verified, compared = walked("keep-an-audit-trail", server)
    assert ["user.create", "done"] in [line[2:4] for line in words(read)]
    assert kept_elsewhere == ""
    folder = server.platform.folder.path.parent
    acme = [json.loads(line) for line in (folder / "acme.jsonl").read_text().splitlines()]
    # That it was taken out is in the chain, and in what was taken out.
    assert [(one["number"], one["outcome"]) for one in acme] == [(3, "begun"), (2, "done"), (1, "begun")]
    assert "tenant.create" in (folder / "platform.jsonl").read_text()
    place = json.loads((folder / "places.json").read_text())["chains"][0]
    entries = server.client.get("/api/v1/audit", params={"tenant_id": "acme"}).json()["items"]
    (last,) = [one for one in entries if one["number"] == 4]
    assert (place["last_number"], place["last_hash"]) == (4, last["hash"])
    assert ["acme", "4", "4", last["hash"], "whole"] in words(verified)
    assert compared.splitlines()[-1] == "the chain still has it"


def test_log_in_on_a_page(server: RunningServer) -> None:
    a_tenant(server, "acme")
    ada = {"email": "ada@example.com", "roles": [{"role": "owner"}]}
    link = server.client.post("/api/v1/users", json=ada, params={"tenant_id": "acme"}).json()
    followed = {"token": link["invitation"]["link"].partition("#")[2], "password": PASSWORD}
    server.stranger.post("/api/v1/auth/accept", json=followed).raise_for_status()
    page = "how-to/log-in-on-a-page"
    known, changed, gone_on, out = walk_in_one_shell(page, server.platform.folder.path, SERVER=server.url)
    assert known == '"email":"ada@example.com"\n'
    assert changed.split() == ["403", "201"]
    assert (gone_on.strip(), out.strip()) == ("200", "204")
