"""The page about billing a service of one's own goes as it is told, beside a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.command_line import bursar
from tests.support.serving import running_server
from tests.support.walk import Walk

if TYPE_CHECKING:
    from pathlib import Path


def test_a_service_is_registered_billed_and_its_rule_tried_as_the_page_says(tmp_path: Path) -> None:
    with running_server(tmp_path / "ledger") as server:
        registered, imported, tried, recorded = Walk("how-to/bill-your-own-service", tmp_path).run_all()
        costs = [
            server.client.get(f"/api/v1/events/{event_id}/explain").json()["total"]
            for event_id in ("p-1", "p-2")
        ]
        withdrawn = server.client.get("/api/v1/billing-rules").json()["items"][0]
        said = bursar("billing-rules", "withdraw", withdrawn["id"], "--data", tmp_path / "ledger")
    assert "Registered custom_ml_service, version 1." in registered
    assert "2" in imported
    assert costs == ["0.5", "1.5"]
    assert "1.1 USD by tried (billing_rule:default)." in tried
    assert f"1.1 USD by {withdrawn['id']} (billing_rule:default)." in recorded
    assert said.out == f"Withdrew {withdrawn['id']}.\n"
