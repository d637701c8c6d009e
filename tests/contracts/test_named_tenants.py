"""Events that name a tenant, over every state store: an impossible name is nobody's, not a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

IMPOSSIBLE = ["a\x00b", "\x00", "nobody", "../x", "a b", "x" * 200, "\U0001f600"]


def test_an_event_of_a_tenant_that_can_not_be_is_refused_alone(tmp_path: Path, state_url: str) -> None:
    database_url = state_url if state_url.startswith("postgresql") else None
    with running_server(tmp_path / "data", database_url=database_url) as server:
        events = [*({"tenant_id": name} for name in IMPOSSIBLE), {}]
        answer = server.client.post("/api/v1/events", json=events)
        assert answer.status_code == 202, answer.text
        document = answer.json()
        assert document["accepted"] == 1
        codes = [reason["code"] for one in document["rejected"] for reason in one["errors"]]
        assert codes == ["unknown_tenant"] * len(IMPOSSIBLE)
