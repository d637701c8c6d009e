"""Events whose words were erased keep their ratings, where a billing rule asks for what they said.

An erasure takes metadata and the person's tags out of an event for good. A rule that chooses by them can't
rate the event any more; that must not take away the cost it has, here or after a rebuild.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.test_reprice_api import EVENTS, finished
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.serving import RunningServer

RULES = "/api/v1/billing-rules"
SERVICE = "document_processor"
PAGES = {"service_type": SERVICE, "units": {"pages": 10}}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A server of its own: its services are billed by rules."""
    with running_server(tmp_path / "data") as running:
        yield running


def bill(server: RunningServer, **rates: str) -> None:
    """From now on pages cost this, by the plan that an event names."""
    for rule in server.client.get(RULES, params={"service_type": SERVICE}).json()["items"]:
        server.client.delete(f"{RULES}/{rule['id']}").raise_for_status()
    rule = {
        "service_type": SERVICE,
        "kind": "multiply",
        "unit": "pages",
        "rates": rates,
        "rate_field": "plan",
    }
    server.client.post(RULES, json=rule).raise_for_status()


def send(server: RunningServer, **events: dict[str, Any]) -> None:
    body = [{**PAGES, "event_id": event_id, **said} for event_id, said in events.items()]
    server.client.post(EVENTS, json=body, params={"wait": "applied"}).raise_for_status()


def erase(server: RunningServer, user_id: str) -> None:
    asked = {"user_id": user_id, "reason": "asked for"}
    answer = server.client.post("/api/v1/erasures", json=asked).raise_for_status()
    finished(server.client, answer.json()["run"]["url"])


def reprice(server: RunningServer, *, dry_run: bool) -> dict[str, Any]:
    asked = {"window": "all", "reason": "new rates", "dry_run": dry_run}
    answer = server.client.post("/api/v1/reprice", json=asked).raise_for_status()
    return finished(server.client, answer.json()["run"]["url"])["result"]


def costs(server: RunningServer) -> dict[str, str | None]:
    items = server.client.get(EVENTS, params={"window": "all"}).json()["items"]
    return {one["event_id"]: one["cost"]["total"] for one in items}


def rebuild(server: RunningServer) -> None:
    answer = server.operator.post("/control/rebuild", timeout=60).raise_for_status()
    assert "result" in json.loads(answer.text.splitlines()[-1]), answer.text


def test_an_erased_event_keeps_the_cost_that_its_words_decided(server: RunningServer) -> None:
    bill(server, gold="0.20", basic="0.50")
    send(
        server,
        hers={"user_id": "ada", "metadata": {"plan": "gold"}},
        tagged={"tags": {"plan": "basic", "owner": "ada"}},
        his={"user_id": "bob", "metadata": {"plan": "gold"}},
    )
    before = {"hers": "2", "tagged": "5", "his": "2"}
    assert costs(server) == before
    erase(server, "ada")
    bill(server, gold="0.10", basic="0.40")
    seen = reprice(server, dry_run=True)
    assert (seen["events"], seen["changed"], seen["kept"]) == (3, 2, {"erased": 1})
    assert (seen["becomes_unpriced"], seen["unpriced_after"]) == (0, 0)
    assert costs(server) == before
    done = reprice(server, dry_run=False)
    assert (done["applied"], done["kept"]) == (2, {"erased": 1})
    # What the tags still say decides as before.
    assert costs(server) == {"hers": "2", "tagged": "4", "his": "1"}
    rebuild(server)
    assert costs(server) == {"hers": "2", "tagged": "4", "his": "1"}
    bill(server, gold="0.30", basic="0.40")
    again = reprice(server, dry_run=False)
    assert (again["applied"], again["kept"]) == (1, {"erased": 1})
    assert costs(server) == {"hers": "2", "tagged": "4", "his": "3"}


def test_an_event_that_never_said_it_is_unpriced_by_name(server: RunningServer) -> None:
    bill(server, standard="0.25", gold="0.20")
    send(server, silent={"user_id": "bob"})
    assert costs(server) == {"silent": "2.5"}
    bill(server, gold="0.10")
    done = reprice(server, dry_run=False)
    assert (done["becomes_unpriced"], done["kept"]) == (1, {})


def test_what_is_corrected_after_the_erasure_is_rated_by_its_new_words(server: RunningServer) -> None:
    bill(server, gold="0.20")
    send(server, hers={"user_id": "ada", "metadata": {"plan": "gold"}})
    erase(server, "ada")
    corrected = {**PAGES, "metadata": {"plan": "gold"}}
    asked = {"reason": "said again"}
    server.client.put(f"{EVENTS}/hers", json=corrected, params=asked).raise_for_status()
    bill(server, gold="0.10")
    done = reprice(server, dry_run=False)
    assert (done["applied"], done["kept"], costs(server)) == (1, {}, {"hers": "1"})
