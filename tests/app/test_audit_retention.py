"""The audit log's own retention: the job `audit-retention` on a whole platform, with the clock moved."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bursar import clock
from bursar.settings import load_settings
from tests.support.patience import wait_until
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.support.serving import RunningServer

DAYS = 30
JOB = "/api/v1/scheduler/jobs/audit-retention"


def numbers(server: RunningServer) -> list[int]:
    """The entries of a tenant's chain, newest first."""
    listed = server.client.get("/api/v1/audit", params={"tenant_id": "acme"}).raise_for_status().json()
    return [one["number"] for one in listed["items"]]


def removed_after(server: RunningServer, patched: pytest.MonkeyPatch, days: int) -> int:
    """How many entries the job removes if it runs so many days from now."""
    real = clock.now
    with patched.context() as moved:
        moved.setattr(clock, "now", lambda: real() + timedelta(days=days))
        run = server.client.post(f"{JOB}/trigger", json={}).raise_for_status().json()

        def ended() -> dict[str, Any]:
            return server.client.get(f"/api/v1/scheduler/runs/{run['id']}").raise_for_status().json()

        wait_until(lambda: ended()["finished_at"] is not None, "the run has ended")
        assert ended()["state"] == "succeeded", ended()
        return ended()["result"]["removed"]


def a_tenant_with_acts(server: RunningServer) -> list[int]:
    server.client.post("/api/v1/tenants", json={"id": "acme"}).raise_for_status()
    for name in ("search", "support"):
        body = {"id": name, "name": name}
        made = server.client.post("/api/v1/projects", params={"tenant_id": "acme"}, json=body)
        made.raise_for_status()
    before = numbers(server)
    assert len(before) >= 2
    return before


def test_entries_go_when_they_are_older_than_the_setting_says_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = load_settings({"BURSAR_AUDIT_RETENTION_DAYS": f"{DAYS}"}).audit_retention_days
    with running_server(tmp_path / "data", audit_retention_days=chosen) as server:
        job = server.client.get(JOB).raise_for_status().json()
        assert job["schedule"] == "cron 40 3 * * * (UTC)"
        before = a_tenant_with_acts(server)
        assert removed_after(server, monkeypatch, DAYS - 1) == 0
        assert numbers(server) == before
        assert removed_after(server, monkeypatch, DAYS + 1) >= len(before)
        # What is left tells of the removal, and the chain holds.
        assert numbers(server) == [before[0] + 1]
        (report,) = server.platform.audit.verify("acme")
        assert (report.is_clean, report.trimmed_number) == (True, before[0])


def test_without_the_setting_entries_are_kept_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_server(tmp_path / "data") as server:
        assert server.client.get(JOB).raise_for_status().json()["schedule"] is None
        before = a_tenant_with_acts(server)
        assert removed_after(server, monkeypatch, 36_500) == 0
        assert numbers(server) == before
