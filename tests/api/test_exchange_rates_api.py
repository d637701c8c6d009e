"""Exchange rates over HTTP: entered, imported, listed, withdrawn; each tenant's own and everybody's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.support.access import ask, keys_of

if TYPE_CHECKING:
    from tests.support.serving import RunningServer

PATH = "/api/v1/billing/exchange-rates"
RATE = {"date": "2026-11-20", "base": "EUR", "quote": "USD", "rate": "1.0850"}


def rates_of(server: RunningServer, key: str, **params: object) -> list[dict[str, Any]]:
    return ask(server, key, "GET", PATH, params=cast("Any", params)).raise_for_status().json()["items"]


def test_a_rate_is_entered_and_comes_back_as_it_was_written(server: RunningServer) -> None:
    keys = keys_of(server, "fx-one")
    done = ask(server, keys["admin"], "POST", PATH, json=RATE)
    assert (done.status_code, done.json()) == (200, {"added": 1, "unchanged": 0, "shared": False})
    (kept,) = rates_of(server, keys["read"])
    assert {name: kept[name] for name in RATE} == RATE
    assert (kept["shared"], kept["withdrawn"], kept["source"]) == (False, None, "")
    again = ask(server, keys["admin"], "POST", PATH, json={"rates": [RATE]}).json()
    assert again == {"added": 0, "unchanged": 1, "shared": False}


def test_a_number_is_taken_with_the_digits_that_it_was_written_in(server: RunningServer) -> None:
    keys = keys_of(server, "fx-digits")
    body = '[{"date":"2026-11-20","base":"EUR","quote":"USD","rate":1.0850000000000000001}]'
    headers = {"X-API-Key": keys["admin"], "Content-Type": "application/json"}
    server.stranger.post(PATH, content=body, headers=headers).raise_for_status()
    assert rates_of(server, keys["read"])[0]["rate"] == "1.0850000000000000001"


def test_a_table_of_the_ecb_is_imported(server: RunningServer) -> None:
    keys = keys_of(server, "fx-csv")
    table = "Date,USD,JPY,\n2026-11-20,1.0850,163.25,\n2026-11-19,1.0832,N/A,\n"
    done = ask(
        server,
        keys["admin"],
        "POST",
        PATH,
        content=table,
        headers={"Content-Type": "text/csv"},
        params={"source": "ECB"},
    )
    assert done.json() == {"added": 3, "unchanged": 0, "shared": False}
    listed = rates_of(server, keys["read"], currency="USD")
    assert [(one["date"], one["rate"], one["source"]) for one in listed] == [
        ("2026-11-20", "1.0850", "ECB"),
        ("2026-11-19", "1.0832", "ECB"),
    ]
    assert len(rates_of(server, keys["read"], start_date="2026-11-20", end_date="2026-11-20")) == 2


def test_all_that_is_wrong_is_said_and_nothing_is_kept(server: RunningServer) -> None:
    keys = keys_of(server, "fx-wrong")
    bad = [
        RATE,
        {**RATE, "rate": "0"},
        {**RATE, "quote": "usd"},
        {**RATE, "quote": "EUR"},
        {**RATE, "date": "20/11/2026"},
        {**RATE, "day": 1},
        {"base": "EUR"},
        {**RATE, "rate": True},
        "1.08",
        {**RATE, "source": "\n"},
    ]
    refused = ask(server, keys["admin"], "POST", PATH, json=bad)
    assert refused.status_code == 422
    assert [one["field"] for one in refused.json()["errors"]] == [str(index) for index in range(1, 10)]
    for body, code in (([], "required"), ([RATE, RATE], "repeated")):
        refused = ask(server, keys["admin"], "POST", PATH, json=body)
        assert [one["code"] for one in refused.json()["errors"]] == [code]
    csv = ask(
        server, keys["admin"], "POST", PATH, content="Date,USD\nx,1", headers={"Content-Type": "text/csv"}
    )
    assert (csv.status_code, csv.json()["errors"][0]["field"]) == (422, "line 2, USD")
    for content, media, status in (
        ("{", "application/json", 400),
        ("<a/>", "text/xml", 415),
        ("\xff".encode("latin-1"), "text/csv", 422),
    ):
        got = ask(server, keys["admin"], "POST", PATH, content=content, headers={"Content-Type": media})
        assert got.status_code == status, media
    assert rates_of(server, keys["read"], withdrawn=True) == []


def test_entering_needs_the_admin_scope_and_rates_are_the_tenants_own(server: RunningServer) -> None:
    mine, other = keys_of(server, "fx-mine"), keys_of(server, "fx-other")
    for scope, status in (("ingest", 403), ("read", 403), ("admin", 200)):
        assert ask(server, mine[scope], "POST", PATH, json=RATE).status_code == status
    (kept,) = rates_of(server, mine["read"])
    assert rates_of(server, other["read"]) == []
    assert ask(server, other["admin"], "GET", PATH, params={"tenant_id": "fx-mine"}).status_code == 403
    assert ask(server, mine["ingest"], "GET", PATH).status_code == 403
    gone = {"reason": "a typo"}
    assert ask(server, other["admin"], "DELETE", f"{PATH}/{kept['id']}", params=gone).status_code == 404
    assert ask(server, mine["read"], "DELETE", f"{PATH}/{kept['id']}", params=gone).status_code == 403
    assert ask(server, mine["admin"], "DELETE", f"{PATH}/{kept['id']}").status_code == 422
    assert server.stranger.get(PATH).status_code == 401
    by_operator = server.client.get(PATH, params={"tenant_id": "fx-mine"}).json()["items"]
    assert [one["id"] for one in by_operator] == [kept["id"]]


def test_a_withdrawn_rate_stays_with_who_when_and_why(server: RunningServer) -> None:
    keys = keys_of(server, "fx-gone")
    ask(server, keys["admin"], "POST", PATH, json=RATE).raise_for_status()
    (kept,) = rates_of(server, keys["read"])
    gone = ask(server, keys["admin"], "DELETE", f"{PATH}/{kept['id']}", params={"reason": "a typo"}).json()
    assert gone["withdrawn"]["reason"] == "a typo"
    assert rates_of(server, keys["read"]) == []
    assert rates_of(server, keys["read"], withdrawn=True) == [gone]


def test_only_the_operator_enters_rates_for_all(server: RunningServer) -> None:
    keys = keys_of(server, "fx-shared")
    shared = {**RATE, "base": "CHF", "quote": "SEK"}
    refused = ask(server, keys["admin"], "POST", PATH, json=shared, params={"shared": True})
    assert refused.status_code == 403
    done = server.client.post(PATH, json=shared, params={"shared": True}).json()
    assert done == {"added": 1, "unchanged": 0, "shared": True}
    (seen,) = rates_of(server, keys["read"], currency="CHF")
    # Whose key it was is not the tenant's business.
    assert (seen["shared"], seen["created_by"]) == (True, None)
    assert server.client.get(PATH, params={"currency": "CHF"}).json()["items"][0]["created_by"]
    for params in ({"reason": "no"}, {"reason": "no", "shared": True}):
        refused = ask(server, keys["admin"], "DELETE", f"{PATH}/{seen['id']}", params=params)
        assert refused.status_code == (403 if "shared" in params else 404)
    gone = server.client.delete(f"{PATH}/{seen['id']}", params={"reason": "test", "shared": True})
    assert gone.json()["withdrawn"]["reason"] == "test"


def test_pages_go_on_where_the_last_one_ended(server: RunningServer) -> None:
    keys = keys_of(server, "fx-pages")
    rates = [{**RATE, "date": f"2026-11-{day:02d}"} for day in range(1, 8)]
    ask(server, keys["admin"], "POST", PATH, json=rates).raise_for_status()
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = ask(server, keys["read"], "GET", PATH, params=params).json()
        seen += [one["date"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [f"2026-11-{day:02d}" for day in range(7, 0, -1)]


@pytest.mark.parametrize("cursor", ["x", "Iw", "WyIyMDI2LTExLTIwIiwiXHUwMDAwIl0"])
def test_a_cursor_that_is_not_ours_is_refused(server: RunningServer, cursor: str) -> None:
    refused = server.client.get(PATH, params={"cursor": cursor})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "invalid_cursor")
