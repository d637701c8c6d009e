"""A tenant's quotas: exact at the door, whatever comes at the same time, twice, or for another month."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from tests.support.access import ask, keys_of
from tests.support.patience import wait_until
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.serving import RunningServer

EVENTS = "/api/v1/events"
QUOTAS = "/api/v1/quotas"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("quotas") / "d") as one:
        yield one


def post(server: RunningServer, keys: dict[str, str], event_id: str) -> httpx.Response:
    return ask(server, keys["ingest"], "POST", EVENTS, json=event(event_id))


def event(event_id: str, **more: object) -> dict[str, Any]:
    said = {
        "event_id": event_id,
        "provider": "openai",
        "model": "gpt-5",
        "input_tokens": 800,
        "output_tokens": 0,
    }
    return {**said, **more}


def set_quota(
    server: RunningServer, tenant: str, measure: str, limit: str, how: str = "hard"
) -> dict[str, Any]:
    body = {"limit": limit, "enforcement": how}
    answer = server.client.put(f"{QUOTAS}/{measure}", params={"tenant_id": tenant}, json=body)
    return answer.raise_for_status().json()


def quotas_of(server: RunningServer, key: str, **params: str) -> dict[str, Any]:
    found = ask(server, key, "GET", QUOTAS, params=params).raise_for_status().json()
    return {one["measure"]: one for one in found["items"]}


def settle(server: RunningServer) -> None:
    applier, journal = server.platform.applier, server.platform.journal
    wait_until(lambda: applier.state.applied_seq >= journal.mark.last_seq, "everything to be applied")


def counted(server: RunningServer, key: str) -> int:
    """What a query says was recorded."""
    settle(server)
    body = {"measures": ["events"], "window": "30d"}
    return int(
        ask(server, key, "POST", "/api/v1/query", json=body).raise_for_status().json()["totals"]["events"]
    )


def refusal(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 429, answer.text
    problem = answer.json()
    assert problem["code"] == "quota_exceeded"
    assert "retry-after" not in answer.headers
    return problem


def test_the_event_behind_the_last_one_is_refused_by_name_and_a_repeat_is_not(server: RunningServer) -> None:
    keys = keys_of(server, "exact")
    set_quota(server, "exact", "events", "3")
    for name in "abc":
        assert ask(server, keys["ingest"], "POST", EVENTS, json=event(name)).status_code == 202
    problem = refusal(ask(server, keys["ingest"], "POST", EVENTS, json=event("d")))
    month = clock.now().strftime("%Y-%m")
    assert problem["quota"]["used"] == problem["quota"]["limit"] == 3
    assert problem["quota"]["month"] == month
    assert problem["rejected"][0]["errors"][0]["code"] == "quota_exceeded"
    assert problem["rejected"][0]["event_id"] == "d"
    assert "3 events" in problem["detail"]
    again = ask(server, keys["ingest"], "POST", f"{EVENTS}?wait=applied", json=event("b"))
    assert again.json()["events"][0]["outcome"] == "duplicate"
    assert counted(server, keys["read"]) == 3
    shown = quotas_of(server, keys["read"])["events"]
    assert (shown["used"], shown["left"], shown["share"], shown["state"]) == ("3", "0", "1.0000", "exceeded")


def test_of_a_body_that_crosses_the_limit_what_has_room_is_taken(server: RunningServer) -> None:
    keys = keys_of(server, "crossing")
    set_quota(server, "crossing", "events", "5")
    assert ask(server, keys["ingest"], "POST", EVENTS, json=[event("0"), event("1")]).status_code == 202
    body = [event("1"), {"model": 1}, *(event(f"{n}") for n in range(2, 8)), event("2")]
    answer = ask(server, keys["ingest"], "POST", f"{EVENTS}?wait=applied", json=body).json()
    # A repeat of one before, three that fill the quota, and a repeat of one of those.
    assert [(one["event_id"], one["outcome"]) for one in answer["events"]] == [
        ("1", "duplicate"),
        ("2", "new"),
        ("3", "new"),
        ("4", "new"),
        ("2", "duplicate"),
    ]
    assert answer["accepted"] == 5
    refused = [(one["index"], one.get("event_id"), one["errors"][0]["code"]) for one in answer["rejected"]]
    assert refused[1:] == [(5, "5", "quota_exceeded"), (6, "6", "quota_exceeded"), (7, "7", "quota_exceeded")]
    assert refused[0][0] == 1
    assert answer["quota"]["measure"] == "events"
    assert counted(server, keys["read"]) == 5


@pytest.mark.parametrize("wants", ["events", "none"])
def test_a_large_body_is_cut_at_the_limit(server: RunningServer, wants: str) -> None:
    keys = keys_of(server, f"large-{wants}")
    set_quota(server, f"large-{wants}", "events", "2500")
    body = [event(f"100% {n}", tracking_token=None) for n in range(4000)]
    answer = ask(server, keys["ingest"], "POST", f"{EVENTS}?return={wants}", json=body).json()
    assert answer["accepted"] == 2500
    assert [one["index"] for one in answer["rejected"]] == list(range(2500, 4000))
    assert answer["rejected"][0]["event_id"] == "100% 2500"
    if wants == "events":
        assert [one["event_id"] for one in answer["events"]] == [f"100% {n}" for n in range(2500)]
    assert counted(server, keys["read"]) == 2500


def test_together_they_never_exceed_it_and_nothing_that_has_room_is_refused(server: RunningServer) -> None:
    keys = keys_of(server, "together")
    set_quota(server, "together", "events", "300")

    def send(n: int) -> int:
        # Every id comes three times: alone, alone again, and in a body of four.
        body: Any = (
            event(f"{n // 3}") if n % 3 < 2 else [event(f"{n // 3}"), *(event(f"{n}-{i}") for i in range(3))]
        )
        answer = ask(server, keys["ingest"], "POST", EVENTS, json=body)
        assert answer.status_code in {202, 429}, answer.text
        return answer.status_code

    with ThreadPoolExecutor(16) as threads:
        codes = list(threads.map(send, range(450)))
    assert 429 in codes
    # 150 ids and 450 of the bodies' own wanted in, and there was room for half of them.
    assert counted(server, keys["read"]) == 300
    assert quotas_of(server, keys["read"])["events"]["used"] == "300"


def test_repeats_take_no_room_even_while_the_first_ones_are_on_their_way(server: RunningServer) -> None:
    keys = keys_of(server, "repeats")
    set_quota(server, "repeats", "events", "60")
    with ThreadPoolExecutor(16) as threads:
        names = [f"{n % 60}" for n in range(240)]
        answers = list(threads.map(partial(post, server, keys), names))
    assert {one.status_code for one in answers} == {202}
    assert counted(server, keys["read"]) == 60


def test_the_event_that_reaches_a_quota_on_cost_is_the_last_one(server: RunningServer) -> None:
    keys = keys_of(server, "cost")
    # 800 input tokens of gpt-5 cost 0.001.
    set_quota(server, "cost", "cost", "0.0035")
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(partial(post, server, keys), map(str, range(20))))
    assert [one.status_code for one in answers].count(202) == 4
    batch = ask(server, keys["ingest"], "POST", EVENTS, json=[event("x"), event("0", model="unheard-of")])
    assert {one["errors"][0]["code"] for one in batch.json()["rejected"]} == {"quota_exceeded"}
    settle(server)
    shown = quotas_of(server, keys["read"])["cost"]
    assert (Decimal(shown["used"]), shown["currency"], shown["state"]) == (
        Decimal("0.004"),
        "USD",
        "exceeded",
    )


def test_a_sender_that_may_not_see_costs_is_not_told_what_the_tenant_may_spend_or_has_spent(
    server: RunningServer,
) -> None:
    keys = keys_of(server, "tight-lipped")
    set_quota(server, "tight-lipped", "cost", "0.0005")
    assert post(server, keys, "a").status_code == 202
    problem = refusal(post(server, keys, "b"))
    assert set(problem["quota"]) == {"measure", "currency", "month", "resets_at"}
    assert "0.001" not in str(problem)
    assert "0.0005" not in str(problem)
    told = refusal(ask(server, keys["admin"], "POST", EVENTS, json=[event("c"), event("d")]))
    assert (told["quota"]["used"], told["quota"]["limit"]) == ("0.001", "0.0005")


def test_what_has_no_price_is_said_apart_and_other_currencies_too(server: RunningServer) -> None:
    keys = keys_of(server, "apart")
    set_quota(server, "apart", "cost", "1")
    euros = event("e", cost={"amount": "2.5", "currency": "EUR"}, model="unheard-of")
    for one in (event("a"), event("b", model="unheard-of-too"), euros):
        ask(server, keys["ingest"], "POST", EVENTS, json=one).raise_for_status()
    settle(server)
    shown = quotas_of(server, keys["read"])["cost"]
    assert (shown["used"], shown["unpriced_events"], shown["not_counted"]) == ("0.001", 1, {"EUR": "2.5"})


def test_a_soft_quota_refuses_nothing_and_tells(server: RunningServer) -> None:
    keys = keys_of(server, "soft")
    set_quota(server, "soft", "events", "1", "soft")
    for name in "abc":
        ask(server, keys["ingest"], "POST", EVENTS, json=event(name)).raise_for_status()
    settle(server)
    shown = quotas_of(server, keys["read"])["events"]
    assert (shown["used"], shown["share"], shown["state"]) == ("3", "3.0000", "exceeded")
    # Whatever was set makes it look again soon.
    set_quota(server, "soft", "events", "2", "soft")
    register = server.platform.quotas.register
    wait_until(lambda: register.standing["exceeded"] >= 1, "a look at what was reached")
    page = server.client.get("/metrics", headers={"Accept": "text/plain"}).text
    assert "soft" not in page
    assert 'bursar_quotas{state="exceeded"}' in page


def test_an_event_counts_in_the_month_in_which_it_happened(server: RunningServer) -> None:
    keys = keys_of(server, "months")
    set_quota(server, "months", "events", "2")
    old = [event(f"o{n}", time="2024-02-29T12:00:00Z") for n in range(3)]
    answer = ask(
        server, keys["ingest"], "POST", f"{EVENTS}/import?wait=applied", json=[*old, event("new")]
    ).json()
    assert [one["index"] for one in answer["rejected"]] == [2]
    assert "2024-02" in answer["rejected"][0]["errors"][0]["message"]
    assert quotas_of(server, keys["read"], month="2024-02")["events"]["used"] == "2"
    assert quotas_of(server, keys["read"], month="2024-03")["events"]["used"] == "0"
    assert quotas_of(server, keys["read"])["events"]["used"] == "1"


def test_a_quota_counts_at_once_when_it_is_set_raised_and_removed(server: RunningServer) -> None:
    keys = keys_of(server, "raised")
    for name in "abc":
        assert post(server, keys, name).status_code == 202
    # What is on its way when a quota is set counts.
    assert set_quota(server, "raised", "events", "3")["limit"] == "3"
    refusal(post(server, keys, "d"))
    set_quota(server, "raised", "events", "4")
    assert post(server, keys, "d").status_code == 202
    refusal(post(server, keys, "e"))
    gone = server.client.delete(f"{QUOTAS}/events", params={"tenant_id": "raised"})
    assert gone.status_code == 204
    assert post(server, keys, "e").status_code == 202
    assert server.client.delete(f"{QUOTAS}/events", params={"tenant_id": "raised"}).status_code == 404


def test_a_void_gives_room_back(server: RunningServer) -> None:
    keys = keys_of(server, "voided")
    set_quota(server, "voided", "events", "1")
    assert ask(server, keys["ingest"], "POST", EVENTS, json=event("a")).status_code == 202
    refusal(ask(server, keys["ingest"], "POST", EVENTS, json=event("b")))
    body = {"event_ids": ["a"], "reason": "sent by mistake"}
    ask(server, keys["admin"], "POST", f"{EVENTS}/void", json=body).raise_for_status()
    settle(server)
    wait_until(lambda: post(server, keys, "b").status_code == 202, "room")
    refusal(ask(server, keys["ingest"], "POST", EVENTS, json=event("c")))


def test_an_operators_body_is_held_to_the_quota_of_each_tenant(server: RunningServer) -> None:
    first, second = keys_of(server, "many-a"), keys_of(server, "many-b")
    set_quota(server, "many-a", "events", "1")
    body = [event(f"{n}", tenant_id=tenant) for n in range(2) for tenant in ("many-a", "many-b")]
    answer = server.client.post(EVENTS, json=body).json()
    assert [one["index"] for one in answer["rejected"]] == [2]
    assert (counted(server, first["read"]), counted(server, second["read"])) == (1, 2)


def test_a_tenant_reads_its_own_and_only_the_operator_sets_them(server: RunningServer) -> None:
    mine, others = keys_of(server, "mine"), keys_of(server, "others")
    set_quota(server, "mine", "events", "7")
    assert quotas_of(server, others["read"]) == {}
    assert ask(server, others["read"], "GET", QUOTAS, params={"tenant_id": "mine"}).status_code == 403
    assert ask(server, mine["ingest"], "GET", QUOTAS).status_code == 403
    body = {"limit": "9", "enforcement": "hard"}
    assert ask(server, mine["admin"], "PUT", f"{QUOTAS}/events", json=body).status_code == 403
    assert ask(server, mine["admin"], "DELETE", f"{QUOTAS}/events").status_code == 403
    narrow = {"label": "n", "scopes": ["usage:read"], "tenant_id": "mine"}
    key = server.client.post("/api/v1/keys", json=narrow).raise_for_status().json()["key"]
    set_quota(server, "mine", "cost", "1")
    assert set(quotas_of(server, mine["read"])) == {"events", "cost"}
    assert set(quotas_of(server, key)) == {"events"}


@pytest.mark.parametrize(
    ("measure", "body", "field"),
    [
        ("events", {"limit": "1.5", "enforcement": "hard"}, "limit"),
        ("events", {"limit": "1", "enforcement": "hard", "currency": "USD"}, "currency"),
        ("events", {"limit": "-1", "enforcement": "hard"}, "limit"),
        ("cost", {"limit": "0.1234567890123", "enforcement": "hard"}, "limit"),
        ("cost", {"limit": "1", "enforcement": "maybe"}, "enforcement"),
        ("cost", {"limit": "1", "enforcement": "hard", "currency": "euro"}, "currency"),
        ("cost", {"limit": "1", "enforcement": "hard", "until": "x"}, "until"),
    ],
)
def test_what_is_no_quota_is_refused_with_the_reason(
    server: RunningServer, measure: str, body: dict[str, str], field: str
) -> None:
    answer = server.client.put(f"{QUOTAS}/{measure}", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].endswith(field)


def test_quotas_of_a_tenant_that_doesnt_exist_are_not_found(server: RunningServer) -> None:
    body = {"limit": "1", "enforcement": "hard"}
    answer = server.client.put(f"{QUOTAS}/events", params={"tenant_id": "nobody"}, json=body)
    assert answer.status_code == 404
    assert server.client.get(QUOTAS, params={"month": "2026-13"}).status_code == 422


def test_a_quota_holds_after_a_rebuild_and_says_what_a_recount_says(server: RunningServer) -> None:
    keys = keys_of(server, "rebuilt")
    set_quota(server, "rebuilt", "events", "4")
    body = [event(f"{n}") for n in range(4)]
    ask(server, keys["ingest"], "POST", EVENTS, json=body).raise_for_status()
    server.operator.post("/control/rebuild", timeout=60).raise_for_status()
    refusal(ask(server, keys["ingest"], "POST", EVENTS, json=event("x")))
    settle(server)
    now = clock.now()
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    cursor = server.platform.stores.cursor()
    try:
        question = "SELECT count(*), sum(cost) FROM usage_events WHERE tenant_id = 'rebuilt' AND time >= ?"
        events, cost = cursor.execute(question, [start.replace(tzinfo=None)]).fetchall()[0]
    finally:
        cursor.close()
    set_quota(server, "rebuilt", "cost", "1")
    shown = quotas_of(server, keys["read"])
    assert (int(shown["events"]["used"]), Decimal(shown["cost"]["used"])) == (events, cost)
