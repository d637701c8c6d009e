"""Two tenants who call everything alike: neither learns anything of the other, nor that there is another.

Random calls of both are sent to a server that they share, and to one that each has for itself, and must be
answered alike (`support/worlds.py`): a property of non-interference, which no list of leaks to look for
could replace. Beyond answers: logs, metrics, the audit log, tenants that are suspended, deleted, made again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.support.log_lines import lines_told, refuse_others_words
from tests.support.odd_events import ALL_CHECKS
from tests.support.patience import DEADLINE_SECONDS, wait_until
from tests.support.rounds import rounds
from tests.support.tenant_calls import BODIES, OF_TENANTS
from tests.support.worlds import MARK, NAMES, refuse_others, two_tenants, two_worlds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.serving import RunningServer
    from tests.support.worlds import Side, Worlds

READING = [operation for operation in OF_TENANTS if operation.startswith("GET")]
ORDER = ("POST", "PUT", "PATCH", "GET", "DELETE")
IN_ORDER = sorted(OF_TENANTS, key=lambda operation: ORDER.index(operation.partition(" ")[0]))
"""Every operation, so that there is something when it is asked for, and something to delete."""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RunningServer]]:
    with two_worlds(tmp_path_factory.mktemp("worlds")) as servers:
        yield servers


@pytest.fixture
def worlds(servers: dict[str, RunningServer]) -> Iterator[Worlds]:
    with two_tenants(servers) as worlds:
        yield worlds


def ask_everything(worlds: Worlds, name: str, choice: int, operations: list[str] = READING) -> None:
    for operation in operations:
        worlds.ask(name, operation, choice)


def test_every_operation_that_sends_something_is_driven_here() -> None:
    sending = {operation for operation in OF_TENANTS if not operation.startswith(("GET", "DELETE"))}
    assert sending - BODIES.keys() == set()
    assert BODIES.keys() <= set(OF_TENANTS)


def test_whatever_both_ask_of_everything_is_answered_as_if_each_were_alone(worlds: Worlds) -> None:
    with lines_told(worlds) as lines:
        for choice, operation in enumerate(IN_ORDER):
            for name in NAMES:
                worlds.ask(name, operation, choice)
            worlds.ask("right", operation, choice, foreign=True)
    for name in NAMES:
        assert len([one for one in lines if worlds.tenants[name].mark in repr(one)]) > len(IN_ORDER)


@pytest.mark.parametrize(
    "leaking",
    [
        {"request_id": "{left}", "event": "about {right}"},
        {"request_id": "{left}", "tenant": "{right}"},
        {"request_id": "{left}", "id": "{an id of right}"},
        {"event": "about {right}"},
        {"owner": "{right}", "event": "about {left}"},
    ],
)
def test_a_line_of_the_log_that_tells_of_another_is_found(worlds: Worlds, leaking: dict[str, str]) -> None:
    left, right = worlds.tenants["left"], worlds.tenants["right"]
    words = {"{left}": left.mark, "{right}": right.mark, "{an id of right}": right.shared.id_of("key", 0)}

    def line_of(fields: dict[str, str]) -> dict[str, str]:
        return {name: _filled(text, words) for name, text in fields.items()}

    with pytest.raises(AssertionError):
        refuse_others_words(worlds, line_of(leaking))
    refuse_others_words(worlds, line_of({"request_id": "{left}", "event": "about {left}"}))
    refuse_others_words(worlds, line_of({"tenant": "{right}", "id": "{an id of right}"}))


def _filled(text: str, words: dict[str, str]) -> str:
    for place, word in words.items():
        text = text.replace(place, word)
    return text


UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
"""What fails says which call it was; a shorter way there would take minutes to find."""
CALLS = st.tuples(st.sampled_from(NAMES), st.sampled_from(OF_TENANTS), st.integers(0, 30), st.booleans())


@settings(
    max_examples=rounds(3, in_every_run=1), deadline=None, phases=UNSHRUNK, suppress_health_check=ALL_CHECKS
)
@given(calls=st.lists(CALLS, min_size=15, max_size=30))
def test_random_calls_of_both_are_answered_as_if_each_were_alone(
    servers: dict[str, RunningServer], calls: list[tuple[str, str, int, bool]]
) -> None:
    with two_tenants(servers) as worlds, lines_told(worlds):
        for name in NAMES:
            for choice in range(3):
                worlds.ask(name, "POST /api/v1/events", choice)
        for name, operation, choice, foreign in calls:
            worlds.ask(name, operation, choice, foreign=foreign)
        for name in NAMES:
            ask_everything(worlds, name, 0)


def test_a_mark_in_a_parquet_file_is_found(worlds: Worlds) -> None:
    left, right = worlds.tenants["left"], worlds.tenants["right"]
    event = {"provider": "openai", "model": "gpt-5", "input_tokens": 1, "environment": left.mark}
    left.shared.client.post("/api/v1/events", json=event).raise_for_status()
    changes = left.shared.server.platform.changes
    changes.wait_applied(changes.durable_seq, DEADLINE_SECONDS)
    answer = left.shared.client.get("/api/v1/export", params={"format": "parquet"}).raise_for_status()
    refuse_others(left, right, answer)
    with pytest.raises(AssertionError):
        refuse_others(right, left, answer)


def test_neither_log_lines_nor_metrics_tell_of_another(
    worlds: Worlds, servers: dict[str, RunningServer]
) -> None:
    for operation in (
        "POST /api/v1/events",
        "POST /api/v1/tokens",
        "POST /api/v1/projects",
        "POST /api/v1/keys",
    ):
        for name in NAMES:
            worlds.ask(name, operation, 4)
    with lines_told(worlds) as lines:
        ask_everything(worlds, "left", 4)
        for operation in ("POST /api/v1/events", "POST /api/v1/services", "PUT /api/v1/retention"):
            worlds.ask("left", operation, 4)
    left = worlds.tenants["left"]
    of_requests = [line for line in lines if line.get("request_id") == f"of-{left.shared.tenant_id}"]
    assert len(of_requests) > len(READING)
    assert left.mark in repr(of_requests)
    metrics = servers["shared"].client.get("/metrics", headers={"accept": "text/plain"})
    assert b"bursar_" in metrics.content
    assert not MARK.findall(metrics.content)


def test_a_tenant_that_is_suspended_or_deleted_changes_nothing_for_another(worlds: Worlds) -> None:
    for name in NAMES:
        for operation in ("POST /api/v1/events", "POST /api/v1/prices", "POST /api/v1/services"):
            worlds.ask(name, operation, 2)
    for side in worlds.tenants["right"].sides:
        one = f"/api/v1/tenants/{side.tenant_id}"
        side.server.client.patch(one, json={"state": "suspended"}).raise_for_status()
    worlds.ask("right", "POST /api/v1/events", 3)
    for name in NAMES:
        ask_everything(worlds, name, 2)
    for side in worlds.tenants["right"].sides:
        delete_tenant(side)
    ask_everything(worlds, "left", 2)
    assert worlds.ask("right", "GET /api/v1/usage", 1).status_code == 401


def delete_tenant(side: Side) -> None:
    body = {"confirm": side.tenant_id, "reason": "contract ended"}
    operator, path = side.server.client, f"/api/v1/tenants/{side.tenant_id}"
    run = operator.request("DELETE", path, json=body).raise_for_status().json()["run"]
    wait_until(lambda: operator.get(run["url"]).json()["finished_at"] is not None, "the deletion ends")
