"""The client's way to change what was recorded, against a real Bursar."""

from __future__ import annotations

import pytest

from bursar_client import BursarClient, NotFound, RequestRefused, UnreadableAnswer

CALL = {"provider": "openai", "model": "gpt-4o-mini", "input_tokens": 1_000}


def events_of(client: BursarClient, operation: str) -> int:
    return client.query(["events"], filters={"operation": operation}).document["totals"]["events"]


def test_an_event_is_corrected_and_its_history_told(client: BursarClient) -> None:
    client.send([{**CALL, "event_id": "a/1"}], wait_applied=True)
    done = client.changes.correct("a/1", {**CALL, "input_tokens": 2_000}, reason="cut short")
    assert (done["old_cost"]["total"], done["new_cost"]["total"]) == ("0.00015", "0.0003")
    history = client.changes.history("a/1")
    assert [one["ended"] is None for one in history["items"]] == [True, False]
    many = client.changes.correct_many([{**CALL, "event_id": "a/1"}, {"event_id": "b"}], reason="again")
    assert (len(many["corrected"]), len(many["rejected"])) == (1, 1)
    none = client.changes.correct_many([{"event_id": "b"}, {"event_id": "c"}], reason="again")
    assert ([one["event_id"] for one in none["rejected"]], none["corrected"]) == (["b", "c"], [])
    with pytest.raises(NotFound):
        client.changes.correct("never", CALL, reason="x")
    with pytest.raises(RequestRefused):
        client.changes.correct("a/1", CALL, reason="")


def test_events_are_voided_by_ids_and_by_filters(client: BursarClient) -> None:
    events = [{**CALL, "event_id": f"v-{n}", "operation": "void-me"} for n in range(4)]
    client.send(events, wait_applied=True)
    assert client.changes.void(["v-0"], reason="wrong")["applied"] is True
    seen = client.changes.void_selected(filters={"operation": "void-me"})
    assert (seen["dry_run"], seen["expect_events"], events_of(client, "void-me")) == (True, 3, 3)
    begun = client.changes.void_selected(
        dry_run=False,
        filters={"operation": "void-me"},
        reason="wrong",
        expect_events=seen["expect_events"],
        up_to_event=seen["up_to_event"],
    )
    run = client.changes.wait_for(begun)
    assert (run["state"], run["result"]["events"]) == ("succeeded", 3)
    assert events_of(client, "void-me") == 0


def test_a_conflict_is_let_out_of_quarantine(client: BursarClient) -> None:
    for tokens in (1_000, 2_000):
        client.send([{**CALL, "event_id": "q", "input_tokens": tokens}], wait_applied=True)
    (item,) = client.changes.quarantined(event_id="q")["items"]
    done = client.changes.replay(ids=[item["id"]], how="correction", reason="the later one is right")
    assert done["released"] == [item["id"]]
    assert client.changes.quarantined(event_id="q")["items"] == []


def test_a_person_is_erased_and_a_tenant_deleted(client: BursarClient) -> None:
    tenant = client.request("POST", "/api/v1/tenants", body={"id": "short-lived"})["id"]
    client.send([{**CALL, "user_id": "ada-1"}], wait_applied=True, tenant_id=tenant)
    changes = client.changes.for_tenant(tenant)
    assert changes.erase_user(["ada-1"], reason="", dry_run=True)["found"]["events"] == 1
    erased = changes.wait_for(changes.erase_user(["ada-1"], reason="asked"))
    assert (erased["state"], erased["result"]["left"]) == ("succeeded", 0)
    assert changes.wait_for(changes.reset(tenant, reason="over"))["result"]["events"] == 1
    gone = client.changes.wait_for(client.changes.delete_tenant(tenant, reason="over"))
    assert gone["state"] == "succeeded"
    with pytest.raises(NotFound):
        client.request("GET", f"/api/v1/tenants/{tenant}")


def test_only_an_answer_with_a_run_can_be_waited_for(client: BursarClient) -> None:
    with pytest.raises(UnreadableAnswer):
        client.changes.wait_for({"run": None})
