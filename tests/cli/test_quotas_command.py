"""`bursar quotas`: quotas are set, listed and removed by the command; what is none is refused in a line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.command_line import bursar

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.serving import RunningServer


@pytest.fixture(name="data")
def data_folder(server: RunningServer) -> Path:
    return server.platform.folder.path


def test_quotas_are_set_listed_and_removed(data: Path) -> None:
    made = bursar("quotas", "set", "events", "1000", "--data", data, "--json")
    assert json.loads(made.out)[0]["enforcement"] == "hard"
    bursar("quotas", "set", "cost", "12.50", "--currency", "EUR", "--soft", "--data", data)
    shown = bursar("quotas", "list", "--data", data).out
    assert "12.5" in shown
    assert "EUR" in shown
    told = json.loads(bursar("quotas", "list", "--data", data, "--json").out)
    assert [(one["measure"], one["enforcement"], one["used"]) for one in told["items"]] == [
        ("events", "hard", "0"),
        ("cost", "soft", "0"),
    ]
    assert bursar("quotas", "remove", "cost", "--data", data).out == "Removed the quota on cost.\n"
    assert bursar("quotas", "remove", "cost", "--data", data).code == 1


def test_quotas_of_a_project_are_set_listed_and_removed(server: RunningServer, data: Path) -> None:
    server.client.post("/api/v1/projects", json={"id": "search", "name": "Search"}).raise_for_status()
    named = ("--project", "search", "--data", data)
    made = bursar("quotas", "set", "events", "50", *named, "--json")
    assert json.loads(made.out)[0]["limit"] == "50"
    assert "Project search of tenant default" in bursar("quotas", "list", *named).out
    told = json.loads(bursar("quotas", "list", *named, "--json").out)
    assert [(one["measure"], one["limit"]) for one in told["items"]] == [("events", "50")]
    of_tenant = json.loads(bursar("quotas", "list", "--data", data, "--json").out)
    assert "50" not in [one["limit"] for one in of_tenant["items"]]
    assert bursar("quotas", "remove", "events", *named).out == "Removed the quota on events.\n"
    assert bursar("quotas", "list", *named).out == "Project search of tenant default has no quotas.\n"
    unknown = bursar("quotas", "set", "events", "50", "--project", "nowhere", "--data", data)
    assert (unknown.code, "There is no project 'nowhere'." in unknown.err) == (1, True)


def test_what_is_no_quota_is_refused_in_one_line(data: Path) -> None:
    ran = bursar("quotas", "set", "events", "1.5", "--data", data)
    assert ran.code == 1
    assert "whole number" in ran.err
    assert bursar("quotas", "set", "tokens", "1", "--data", data).code == 2


def test_a_tenant_without_quotas_is_told_so(server: RunningServer, data: Path) -> None:
    server.client.post("/api/v1/tenants", json={"id": "without"}).raise_for_status()
    ran = bursar("quotas", "list", "--tenant", "without", "--data", data)
    assert ran.out == "Tenant without has no quotas.\n"
