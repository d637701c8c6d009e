"""A project's quotas: as exact as its tenant's, beside them, and nobody's business but the tenant's own."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.access import Tenant
from tests.support.access import ask as ask_with
from tests.support.patience import wait_until
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from pathlib import Path

    import httpx

    from bursar.usage.quotas.room import Limited
    from tests.support.serving import RunningServer

EVENTS = "/api/v1/events"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("quotas") / "d") as one:
        yield one


class House(Tenant):
    """A tenant with projects `search` and `ads`."""

    def __init__(self, server: RunningServer, name: str, **quotas: str) -> None:
        super().__init__(server, name)
        for project in ("search", "ads"):
            self.ask("POST", "/api/v1/projects", json={"id": project, "name": project}).raise_for_status()
        for project, limit in quotas.items():
            self.set(limit, project=None if project == "own" else project).raise_for_status()

    def set(
        self, limit: str, measure: str = "events", project: str | None = "search", how: str = "hard"
    ) -> httpx.Response:
        body = {"limit": limit, "enforcement": how}
        if project is None:
            params = {"tenant_id": self.name}
            return self.server.client.put(f"/api/v1/quotas/{measure}", params=params, json=body)
        return self.ask("PUT", f"/api/v1/projects/{project}/quotas/{measure}", json=body)

    def post(self, *items: dict[str, Any], key: str = "ingest", **params: str) -> httpx.Response:
        body: Any = items[0] if len(items) == 1 else list(items)
        return self.ask("POST", EVENTS, key, json=body, params=params)

    def post_together(self, numbers: Iterable[int]) -> Counter[int]:
        """How often each status was answered to events of these numbers, sent at the same time."""

        def post(number: int) -> int:
            return self.post(event(f"{number}")).status_code

        with ThreadPoolExecutor(16) as threads:
            return Counter(threads.map(post, numbers))

    def shown(self, project: str = "search", key: str = "read", **params: str) -> dict[str, Any]:
        path = f"/api/v1/projects/{project}/quotas"
        found = self.ask("GET", path, key, params=params).raise_for_status().json()
        assert (found["tenant_id"], found["project_id"]) == (self.name, project)
        return {one["measure"]: one for one in found["items"]}

    def counted(self) -> dict[str | None, int]:
        """What a query says was recorded, by project."""
        settle(self.server)
        body = {"measures": ["events"], "dimensions": ["project_id"], "window": "30d"}
        rows = self.ask("POST", "/api/v1/query", "read", json=body).raise_for_status().json()["rows"]
        return {row["project_id"]: row["events"] for row in rows}


def event(event_id: str, project: str | None = "search", **more: object) -> dict[str, Any]:
    said = {"provider": "openai", "model": "gpt-5", "input_tokens": 800, "output_tokens": 0}
    return {"event_id": event_id, **said, "project_id": project, **more}


def settle(server: RunningServer) -> None:
    applier, journal = server.platform.applier, server.platform.journal
    wait_until(lambda: applier.state.applied_seq >= journal.mark.last_seq, "everything to be applied")


@contextmanager
def closed(limited: Limited | None) -> Generator[None]:
    """While somebody finds out exactly what is left there."""
    assert limited is not None
    assert asyncio.run(limited.turn.acquire())
    try:
        yield
    finally:
        limited.turn.release()


def refused(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 429, answer.text
    assert answer.json()["code"] == "quota_exceeded"
    return answer.json()


def test_the_event_behind_the_last_one_is_refused_in_the_projects_name_and_others_pass(
    server: RunningServer,
) -> None:
    house = House(server, "exact", search="3")
    assert [house.post(event(name)).status_code for name in "abc"] == [202] * 3
    problem = refused(house.post(event("d")))
    told = problem["quota"]
    assert (told["project_id"], told["used"], told["limit"]) == ("search", 3, 3)
    assert "Project 'search'" in problem["detail"]
    assert "Project 'search'" in problem["rejected"][0]["errors"][0]["message"]
    assert house.post(event("e", "ads")).status_code == house.post(event("f", None)).status_code == 202
    again = house.post(event("b"), wait="applied").json()
    assert again["events"][0]["outcome"] == "duplicate"
    assert house.counted() == {"search": 3, "ads": 1, None: 1}
    assert (house.shown()["events"]["used"], house.shown()["events"]["state"]) == ("3", "exceeded")
    assert house.shown("ads") == {}
    assert house.ask("GET", "/api/v1/quotas", "read").json()["items"] == []


def test_of_one_body_each_event_needs_room_in_its_project_and_in_its_tenant(server: RunningServer) -> None:
    house = House(server, "both", own="6", search="2", ads="9")
    places = ["search", "ads", "search", None, "search", "ads", "ads", "search", "ads", None]
    answer = house.post(*(event(f"{n}", project) for n, project in enumerate(places))).json()
    whose = {one["index"]: one["errors"][0]["message"].partition("quota")[0] for one in answer["rejected"]}
    assert [index for index, of in whose.items() if of == "Project 'search': its "] == [4, 7]
    assert [index for index, of in whose.items() if of == "The tenant's "] == [8, 9]
    assert answer["quota"]["project_id"] == "search"
    assert house.counted() == {"search": 2, "ads": 3, None: 1}
    assert refused(house.post(event("x", "search")))["quota"]["project_id"] == "search", "of both, as above"
    assert "project_id" not in refused(house.post(event("y", "ads")))["quota"]


@pytest.mark.parametrize("wants", ["events", "none"])
def test_a_large_body_of_several_projects_is_cut_for_each(server: RunningServer, wants: str) -> None:
    house = House(server, f"large-{wants}", search="700", ads="50")
    places = ("search", "ads", None)
    body = [event(f"{n}", places[n % 3]) for n in range(3000)]
    answer = house.ask("POST", EVENTS, "ingest", json=body, params={"return": wants}).json()
    assert answer["accepted"] == 700 + 50 + 1000
    cut = Counter(places[int(one["index"]) % 3] for one in answer["rejected"])
    assert cut == {"search": 300, "ads": 950}
    assert min(one["index"] for one in answer["rejected"]) == 50 * 3 + 1
    assert house.counted() == {"search": 700, "ads": 50, None: 1000}


def test_bodies_that_come_together_exceed_neither_quota_and_lose_no_room(server: RunningServer) -> None:
    house = House(server, "together", own="200", search="60", ads="30")
    places = ("search", "ads", "search", None)

    def send(n: int) -> int:
        # Every id comes twice, alone and in a body of three projects.
        alone = event(f"{n // 2}", places[n // 2 % 4])
        more = [event(f"{n}-{project}", project) for project in ("search", "ads", None)]
        answer = house.post(alone) if n % 2 else house.post(alone, *more)
        assert answer.status_code in {202, 429}, answer.text
        return answer.status_code

    with ThreadPoolExecutor(16) as threads:
        codes = Counter(threads.map(send, range(300)))
    assert codes[429]
    counts = house.counted()
    # 225 of search, 187 of ads and 188 of none wanted in: whatever came first, there was enough for the rest.
    assert sum(counts.values()) == 200
    assert counts["search"] <= 60
    assert counts["ads"] <= 30
    assert house.shown("search")["events"]["used"] == str(counts["search"])


def test_together_a_projects_quota_is_filled_to_the_event_and_repeats_take_no_room(
    server: RunningServer,
) -> None:
    house = House(server, "filled", search="60")
    assert house.post_together(n % 60 for n in range(240)) == {202: 240}
    codes = house.post_together(range(30, 90))
    assert codes == {202: 30, 429: 30}
    assert house.counted() == {"search": 60}


def test_quotas_that_are_set_and_changed_under_a_flood_hold_to_the_event(server: RunningServer) -> None:
    house = House(server, "changing", own="5000")
    sent = itertools.count()
    codes: Counter[int] = Counter()

    def send(_: int) -> None:
        # Until the last quota is in force and used up.
        while codes[429] < 40:
            codes[house.post(*(event(f"{next(sent)}") for _ in range(3))).status_code] += 1

    with ThreadPoolExecutor(9) as threads:
        senders = [threads.submit(send, n) for n in range(8)]
        wait_until(lambda: codes[202] > 5, "the first events")
        for limit in range(800, 806):
            house.set(f"{limit}").raise_for_status()
        for sender in senders:
            sender.result()
    # Who finds no turn on a slow machine is told to come again.
    assert codes.keys() <= {202, 429, 503}
    assert house.counted() == {"search": 805}


def test_a_project_whose_room_is_being_found_out_keeps_no_other_waiting(server: RunningServer) -> None:
    house = House(server, "waiting", own="100", search="1")
    assert house.post(event("a")).status_code == 202
    refused(house.post(event("b")))
    limits = server.platform.quotas.gate.limited["waiting"]
    with closed(limits.projects["search"]):
        assert house.post(event("c", "ads")).status_code == 202
        assert house.post(event("d", None), event("e", "ads")).status_code == 202
        held_up = house.post(event("f"), event("g", "ads"))
    assert (held_up.status_code, held_up.json()["code"]) == (503, "unavailable")
    with closed(limits.own):
        refused(house.post(event("h")))
    assert house.counted() == {"search": 1, "ads": 2, None: 1}


def test_a_quota_on_cost_lets_in_the_event_that_reaches_it_and_tells_amounts_to_who_may_see_costs(
    server: RunningServer,
) -> None:
    house = House(server, "cost")
    made = house.set("0.0035", "cost").raise_for_status().json()
    assert (made["currency"], made["used"]) == ("USD", "0")
    # 800 input tokens of gpt-5 cost 0.001.
    assert house.post_together(range(20)) == {202: 4, 429: 16}
    silent = refused(house.post(event("x")))
    assert set(silent["quota"]) == {"project_id", "measure", "currency", "month", "resets_at"}
    assert "0.003" not in str(silent)
    within = {"label": "p", "scopes": ["ingest", "read"], "project_id": "search"}
    key = house.ask("POST", "/api/v1/keys", json=within).raise_for_status().json()["key"]
    told = refused(ask_with(server, key, "POST", EVENTS, json=event("y")))
    assert (told["quota"]["used"], told["quota"]["limit"]) == ("0.004", "0.0035")
    assert Decimal(house.shown()["cost"]["used"]) == Decimal("0.004")


def test_voids_and_moves_give_a_project_its_room_back(server: RunningServer) -> None:
    house = House(server, "given-back", search="2", ads="1")
    for name in "ab":
        assert house.post(event(name), wait="applied").status_code == 200
    refused(house.post(event("c")))
    void = {"event_ids": ["a"], "reason": "sent by mistake"}
    house.ask("POST", f"{EVENTS}/void", json=void).raise_for_status()
    wait_until(lambda: house.post(event("c")).status_code == 202, "room")
    refused(house.post(event("d")))
    settle(server)
    moved = house.ask("PUT", f"{EVENTS}/b", json=event("b", "ads"), params={"reason": "moved"})
    moved.raise_for_status()
    wait_until(lambda: house.post(event("d")).status_code == 202, "room")
    refused(house.post(event("e")))
    refused(house.post(event("f", "ads")))
    assert house.counted() == {"search": 2, "ads": 1}


def test_the_same_project_of_another_tenant_has_nothing_to_do_with_it(server: RunningServer) -> None:
    mine, theirs = House(server, "mine", search="1"), House(server, "theirs")
    assert mine.post(event("a")).status_code == 202
    refused(mine.post(event("b")))
    assert [theirs.post(event(name)).status_code for name in "abc"] == [202] * 3
    assert theirs.shown() == {}
    path = "/api/v1/projects/search/quotas"
    foreign = theirs.ask("GET", path, "read", params={"tenant_id": "mine"})
    assert (foreign.status_code, foreign.json()["code"]) == (403, "tenant_mismatch")
    assert theirs.ask("DELETE", f"{path}/events").status_code == 404
    assert theirs.set("9").status_code == 200
    body = [event("o", tenant_id="mine"), event("o", tenant_id="theirs")]
    told = server.client.post(EVENTS, json=body).json()
    assert [one["index"] for one in told["rejected"]] == [0]
    assert (mine.shown()["events"]["limit"], theirs.shown()["events"]["limit"]) == ("1", "9")
    assert (mine.counted(), theirs.counted()) == ({"search": 1}, {"search": 4})


def test_the_tenants_administrators_set_them_and_readers_of_the_project_see_them(
    server: RunningServer,
) -> None:
    house = House(server, "readers", search="5", ads="7")
    house.set("10", "cost").raise_for_status()
    body = {"limit": "1", "enforcement": "hard"}
    paths = {project: f"/api/v1/projects/{project}/quotas" for project in ("search", "ads")}

    def key_for(*scopes: str, **more: str) -> str:
        asked = {"label": "k", "scopes": list(scopes), **more}
        return str(house.ask("POST", "/api/v1/keys", json=asked).raise_for_status().json()["key"])

    def code(key: str, method: str, path: str) -> str:
        answer = ask_with(server, key, method, path, json=body if method == "PUT" else None)
        return "ok" if answer.is_success else answer.json()["code"]

    for key in (house.keys["read"], house.keys["ingest"], key_for("read", project_id="search")):
        assert code(key, "PUT", f"{paths['search']}/events") == "missing_scope"
        assert code(key, "DELETE", f"{paths['search']}/events") == "missing_scope"
    assert code(house.keys["ingest"], "GET", paths["search"]) == "missing_scope"
    bound = key_for("read", project_id="search")
    assert (code(bound, "GET", paths["search"]), code(bound, "GET", paths["ads"])) == ("ok", "not_found")
    hidden, unknown = (
        ask_with(server, bound, "GET", f"/api/v1/projects/{name}/quotas").json()["detail"]
        for name in ("ads", "nowhere")
    )
    assert (hidden, unknown) == ("There is no project 'ads'.", "There is no project 'nowhere'.")
    assert code(bound, "GET", "/api/v1/quotas") == "missing_scope"
    assert set(house.shown()) == {"events", "cost"}
    narrow = key_for("usage:read", project_id="search")
    seen = ask_with(server, narrow, "GET", paths["search"]).json()["items"]
    assert [one["measure"] for one in seen] == ["events"]
    maker = key_for("projects:write")
    assert code(maker, "PUT", f"{paths['search']}/events") == "ok"
    assert code(maker, "PUT", f"{paths['search']}/cost") == "missing_scope"
    assert code(maker, "DELETE", f"{paths['search']}/cost") == "ok"


def test_what_is_no_project_and_what_is_no_quota_is_refused(server: RunningServer) -> None:
    house = House(server, "refusals", search="5")
    assert house.post(event("a", "unmade")).status_code == 202
    path, body = "/api/v1/projects/unmade/quotas", {"limit": "1", "enforcement": "hard"}
    for method, where, sent in (
        ("GET", path, None),
        ("PUT", f"{path}/events", body),
        ("DELETE", f"{path}/events", None),
    ):
        answer = house.ask(method, where, json=sent)
        assert answer.status_code == 404
        assert answer.json()["detail"] == "There is no project 'unmade'."
    none = house.ask("DELETE", "/api/v1/projects/search/quotas/cost")
    assert (none.status_code, none.json()["detail"]) == (404, "The project 'search' has no quota on cost.")
    wrong = house.ask(
        "PUT",
        "/api/v1/projects/search/quotas/events",
        json={"limit": "1.5", "enforcement": "hard", "currency": "USD"},
    )
    assert wrong.status_code == 422
    assert {one["field"] for one in wrong.json()["errors"]} == {"limit", "currency"}
    assert house.ask("PUT", "/api/v1/projects/search/quotas/tokens", json=body).status_code == 422
    path = "/api/v1/projects/search/quotas"
    assert house.ask("GET", path, params={"month": "2026-13"}).status_code == 422


def test_what_is_set_and_removed_is_in_the_audit_log_with_what_it_was(server: RunningServer) -> None:
    house = House(server, "audited", search="5")
    house.set("6", how="soft").raise_for_status()
    house.ask("DELETE", "/api/v1/projects/search/quotas/events").raise_for_status()
    entries = house.ask("GET", "/api/v1/audit").raise_for_status().json()["items"]
    done = [one for one in entries if "quota" in one["act"] and one["outcome"] == "done"]
    assert [(one["act"], one["target"]) for one in done] == [
        ("project.quota.remove", "search"),
        ("project.quota.set", "search"),
        ("project.quota.set", "search"),
    ]
    before = {"measure": "events", "limit": "6", "currency": None, "enforcement": "soft"}
    assert done[0]["before"] == before
    assert done[1]["before"] == {**before, "limit": "5", "enforcement": "hard"}
    assert (done[1]["after"]["limit"], done[1]["after"]["measure"]) == ("6", "events")
    assert not done[2]["before"]


def test_a_soft_quota_refuses_nothing_and_counts_among_all_without_a_name(server: RunningServer) -> None:
    house = House(server, "soft")
    register = server.platform.quotas.register
    house.set("1", how="soft").raise_for_status()
    for name in "ab":
        assert house.post(event(name)).status_code == 202
    settle(server)
    shown = house.shown()["events"]
    assert (shown["used"], shown["share"], shown["state"]) == ("2", "2.0000", "exceeded")
    known = sum(register.standing.values())
    # Whatever was set makes it look again soon.
    house.set("7", project="ads", how="soft").raise_for_status()
    wait_until(lambda: sum(register.standing.values()) > known, "a look at what was reached")
    assert register.standing["exceeded"] >= 1
    assert "search" not in server.client.get("/metrics", headers={"Accept": "text/plain"}).text


def test_a_deleted_projects_quotas_go_with_it_and_a_new_one_of_its_id_has_none(
    server: RunningServer,
) -> None:
    house = House(server, "deleted", search="1", ads="1")
    assert house.post(event("a"), event("b", "ads")).status_code == 202
    path = "/api/v1/projects/search"
    began = house.ask("DELETE", path, json={"confirm": "search", "reason": "given up"}).json()
    url = began["run"]["url"]
    wait_until(lambda: house.ask("GET", url).json()["finished_at"] is not None, "the deletion to end")
    assert house.ask("GET", url).json()["result"]["quotas"] == 1
    assert house.ask("GET", f"{path}/quotas").status_code == 404
    house.ask("POST", "/api/v1/projects", json={"id": "search", "name": "again"}).raise_for_status()
    assert house.shown() == {}
    assert [house.post(event(name)).status_code for name in "ac"] == [202] * 2
    refused(house.post(event("d", "ads")))


def test_they_hold_after_a_restart_and_count_what_was_there_before(tmp_path: Path) -> None:
    with running_server(tmp_path / "d") as first:
        house = House(first, "restarted", search="3")
        house.set("2", "cost", project="ads", how="soft").raise_for_status()
        assert house.post(event("a"), event("b")).status_code == 202
        keys = house.keys
    with running_server(tmp_path / "d") as second:
        house.server, house.keys = second, keys
        answer = house.post(event("c"), event("d"), event("a")).json()
        assert [one["index"] for one in answer["rejected"]] == [1]
        assert answer["accepted"] == 2
        assert house.counted() == {"search": 3}
        assert house.shown()["events"]["state"] == "exceeded"
        assert house.shown("ads")["cost"]["enforcement"] == "soft"
