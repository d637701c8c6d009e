"""`bursar correct`, `history`, `void`, `quarantine`, `erase-user`, `reset` and `tenants delete`."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest

from bursar.pricing.genai_source import load_book
from tests.cli.command_line import bursar
from tests.support.other_prices import OtherBook

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.serving import RunningServer

_numbers = itertools.count()
CALL = {"model": "gpt-4o-mini", "input_tokens": 1000}


@pytest.fixture
def data(server: RunningServer) -> Path:
    return server.platform.folder.path


@pytest.fixture
def tenant(server: RunningServer) -> str:
    return server.client.post("/api/v1/tenants", json={}).json()["id"]


def send(server: RunningServer, tenant: str, **fields: object) -> str:
    event_id = f"cmd-{next(_numbers)}"
    params = {"tenant_id": tenant, "wait": "applied"}
    answer = server.client.post(
        "/api/v1/events", json={**CALL, "event_id": event_id, **fields}, params=params
    )
    assert answer.status_code == 200, answer.text
    return event_id


def test_events_are_corrected_from_a_file_and_refused_lines_named(
    server: RunningServer, data: Path, tenant: str, tmp_path: Path
) -> None:
    event_id = send(server, tenant)
    file = tmp_path / "fixed.ndjson"
    lines = [{**CALL, "event_id": event_id, "input_tokens": 2000}, {**CALL, "event_id": "nobody"}]
    file.write_text("\n".join(map(json.dumps, lines)))
    where = ("--data", data, "--tenant", tenant)
    ran = bursar("correct", file, "--reason", "cut short", *where)
    assert ran.code == 1
    assert "0.0003 USD" in ran.out
    assert ran.err.startswith("line 2: ")
    told = bursar("history", event_id, *where)
    assert "cut short" in told.out
    assert bursar("correct", file, *where).code == 2


def test_a_file_without_events_corrects_nothing_and_says_so(data: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.ndjson"
    empty.write_text("\n")
    for file, why in ((empty, "holds no events"), (tmp_path / "absent", "No such file or directory.")):
        ran = bursar("correct", file, "--reason", "typo", "--data", data)
        assert ran.code == 1
        assert why in ran.err


def test_a_choice_of_no_retention_is_none(data: Path) -> None:
    ran = bursar("retention", "set", "--data", data)
    assert ran.code == 2
    assert "Say what to keep for how long" in ran.err


def test_an_empty_list_says_that_it_is(data: Path, tenant: str) -> None:
    where = ("--data", data, "--tenant", tenant)
    assert bursar("projects", "list", *where).err == "There are none.\n"
    assert bursar("projects", "list", "--json", *where).json == []
    assert "No event is like this." in bursar("query", *where, "--by", "model").err


def test_several_reasons_have_a_line_each(data: Path) -> None:
    ran = bursar("query", "--measures", "cots", "--by", "modle", "--data", data)
    assert ran.code == 1
    assert ran.err.splitlines() == [
        "bursar: The input was refused",
        "  'cots' is no measure of usage. Did you mean 'cost'?",
        "  'modle' is no dimension of usage. Did you mean 'model'?",
    ]


def test_a_void_shows_what_would_go_and_goes_on_only_when_told(
    server: RunningServer, data: Path, tenant: str
) -> None:
    ids = [send(server, tenant, operation="test") for _ in range(3)]
    where = ("--data", data, "--tenant", tenant)
    looked = bursar("void", "--filter", "operation=test", "--dry-run", *where)
    assert looked.code == 0
    assert "gpt-4o-mini" in looked.out
    unsure = bursar("void", "--filter", "operation=test", "--reason", "tests", *where)
    assert unsure.code == 1
    assert "--yes" in unsure.err
    one = bursar("void", "--id", ids[0], "--id", "nobody", "--reason", "tests", "--yes", *where)
    assert "No event counts under 1 of the ids: nobody" in one.err
    assert "Events voided: 1." in one.err
    rest = bursar("void", "--filter", "operation=test", "--reason", "tests", "--yes", "--json", *where).json
    assert (rest["run"]["state"], rest["expect_events"]) == ("succeeded", 2)
    assert bursar("void", "--reason", "tests", *where).code == 2


def test_the_quarantine_is_listed_shown_and_let_out(server: RunningServer, data: Path, tenant: str) -> None:
    event_id = send(server, tenant)
    params = {"tenant_id": tenant, "wait": "applied"}
    again = {**CALL, "event_id": event_id, "input_tokens": 5}
    server.client.post("/api/v1/events", json=again, params=params)
    where = ("--data", data, "--tenant", tenant)
    assert event_id in bursar("quarantine", "list", *where).out
    (item,) = bursar("quarantine", "list", "--json", *where).json
    assert bursar("quarantine", "show", item["id"], *where).json["reason"] == "conflict"
    stays = bursar("quarantine", "replay", "--id", item["id"], "--reason", "r", *where)
    assert (stays.code, "conflict" in stays.out) == (1, True)
    out = bursar("quarantine", "replay", "--why", "conflict", "--as", "discard", "--reason", "r", *where)
    assert (out.code, out.err.strip()) == (0, "Let 1 records out.")
    assert bursar("quarantine", "list", "--json", *where).json == []


def test_a_person_a_tenants_usage_and_the_tenant_go(server: RunningServer, data: Path, tenant: str) -> None:
    send(server, tenant, user_id="ada-7")
    where = ("--data", data, "--tenant", tenant)
    assert "1 events hold" in bursar("erase-user", "ada-7", "--dry-run", *where).err
    erased = bursar("erase-user", "ada-7", "--reason", "asked", "--yes", *where)
    assert (erased.code, "0 places still hold" in erased.err) == (0, True)
    send(server, tenant, user_id="ada-7", operation="ada-7")
    erased = bursar("erase-user", "ada-7", "--reason", "asked", "--yes", *where)
    assert (erased.code, "1 places still hold" in erased.err) == (3, True)
    assert "They are in: operation (1)." in erased.err
    reset = bursar("reset", "--reason", "over", "--yes", *where)
    assert f"Removed 2 events of tenant {tenant}." in reset.err
    assert "suspended" in bursar("tenants", "suspend", tenant, "--data", data).err
    assert "active" in bursar("tenants", "resume", tenant, "--data", data).err
    gone = bursar("tenants", "delete", tenant, "--reason", "over", "--yes", "--data", data)
    assert (gone.code, "0 rows are left" in gone.err) == (0, True)
    assert tenant not in bursar("tenants", "list", "--data", data).out


def test_events_are_rated_again_after_a_look_and_a_yes(
    server: RunningServer, data: Path, tenant: str
) -> None:
    event_id = send(server, tenant)
    where = ("--data", data, "--tenant", tenant, "--model", CALL["model"], "--from", "2026-01-01")
    same = bursar("reprice", "--dry-run", *where)
    assert (same.code, "No event costs anything else" in same.err + same.out) == (0, True)
    server.platform.books.replace_book(OtherBook(factors={"gpt-4o-mini": 2}))
    try:
        looked = bursar("reprice", "--dry-run", *where)
        assert "0.0003" in looked.out
        assert bursar("reprice", *where).code == 2
        unasked = bursar("reprice", "--reason", "twice as dear", *where)
        assert (unasked.code, "--yes" in unasked.err) == (1, True)
        done = bursar("reprice", "--reason", "twice as dear", "--yes", "--json", *where)
    finally:
        server.platform.books.replace_book(load_book())
    assert json.loads(done.out)["applied"] == 1
    explained = server.client.get(f"/api/v1/events/{event_id}/explain", params={"tenant_id": tenant}).json()
    assert (explained["total"], explained["earlier_ratings"][0]["total"]) == ("0.0003", "0.00015")


def test_models_without_a_price_are_listed_with_what_another_name_would_give(
    server: RunningServer, data: Path, tenant: str
) -> None:
    where = ("--data", data, "--tenant", tenant)
    assert "Everything that is selected has a price." in bursar("unpriced", *where).err
    send(server, tenant, provider="openai", model="gpt-4o-minni")
    told = bursar("unpriced", "--as", "openai/gpt-4o-mini", *where)
    assert (told.code, "openai/gpt-4o-mini" in told.out, "0.00015 USD" in told.out) == (0, True, True)
    found = json.loads(bursar("unpriced", "--json", "--model", "gpt-4o-minni", *where).out)
    assert [(one["model"], one["events"]) for one in found["items"]] == [("gpt-4o-minni", 1)]
