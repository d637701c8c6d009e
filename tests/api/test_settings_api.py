"""`/api/v1/settings`: a tenant's administrators see and change their own tenant, and nobody else's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bursar.identity.bodies import OwnTenantOut
from tests.cli.command_line import bursar
from tests.support.access import ask, keys_of
from tests.support.api_document import api_document

if TYPE_CHECKING:
    from tests.support.serving import RunningServer

SETTINGS = "/api/v1/settings"
NO_SETTINGS = {
    "/api/v1/auth/users": "people, at the address where they log in",
    "/api/v1/credentials": "things that a tenant has",
    "/api/v1/events": "records",
    "/api/v1/keys": "things that a tenant has",
    "/api/v1/prices": "the price book; what a tenant enters is at /api/v1/prices/overrides",
    "/api/v1/prices/updates": "the operator's",
    "/api/v1/projects": "things that a tenant has",
    "/api/v1/role-bindings": "people, and what each may do",
    "/api/v1/settings": "itself",
    "/api/v1/tenants": "the operator's",
    "/api/v1/tokens": "things that a tenant has",
    "/api/v1/usage": "records",
    "/api/v1/users": "people, and what each may do",
}
"""Lists that can be written to and set nothing, and why."""


def test_an_administrator_changes_name_and_zone_and_they_count_at_once(server: RunningServer) -> None:
    key = keys_of(server, "settled")["admin"]
    assert ask(server, key, "GET", SETTINGS).json()["zone"] == "UTC"
    changed = ask(server, key, "PATCH", SETTINGS, json={"name": "Settled Ltd", "zone": "Asia/Tokyo"}).json()
    assert (changed["tenant_id"], changed["name"], changed["zone"]) == (
        "settled",
        "Settled Ltd",
        "Asia/Tokyo",
    )
    window = ask(server, key, "POST", "/api/v1/query", json={"window": "today"}).json()["window"]
    assert window["zone"] == "Asia/Tokyo"
    acts = ask(server, key, "GET", "/api/v1/audit", params={"act": "tenant.change"}).json()["items"]
    assert {"name": "settled", "zone": "UTC"} in [one["before"] for one in acts]


def test_every_place_of_other_settings_can_be_read(server: RunningServer) -> None:
    key = keys_of(server, "elsewhere")["admin"]
    for path in ask(server, key, "GET", SETTINGS).json()["elsewhere"].values():
        assert ask(server, key, "GET", path).status_code == 200, path


def test_whatever_can_be_read_and_written_is_named_there_or_is_no_setting_for_a_reason() -> None:
    named = set(OwnTenantOut.model_fields["elsewhere"].default.values())
    assert named | NO_SETTINGS.keys() == set(written_lists())
    assert named & NO_SETTINGS.keys() == set()


def written_lists() -> list[str]:
    """Paths without parameters that can be read, and written to there or one word below."""
    paths = api_document()["paths"]
    writers = {path for path, methods in paths.items() if methods.keys() - {"get"}}
    return [
        path
        for path, methods in paths.items()
        if "get" in methods
        and "{" not in path
        and any(re.fullmatch(rf"{re.escape(path)}(/{{\w+}})?", writer) for writer in writers)
    ]


def test_what_is_unfit_is_refused_and_a_tenant_cannot_resume_itself(server: RunningServer) -> None:
    keys = keys_of(server, "unfit")
    bodies = ({"zone": "Mars/Olympus"}, {"name": " "}, {"state": "active"})
    for body in bodies:
        refused = ask(server, keys["admin"], "PATCH", SETTINGS, json=body)
        assert refused.status_code == 422
        assert [one["field"] for one in refused.json()["errors"]] == [*body]
    assert ask(server, keys["read"], "PATCH", SETTINGS, json={"name": "x"}).status_code == 403
    assert ask(server, keys["ingest"], "GET", SETTINGS).status_code == 403


def test_nobody_changes_another_tenants_settings(server: RunningServer) -> None:
    key = keys_of(server, "nosy")["admin"]
    keys_of(server, "quiet")
    for tenant in ("quiet", "no-such"):
        refused = ask(server, key, "PATCH", SETTINGS, json={"name": "x"}, params={"tenant_id": tenant})
        assert refused.status_code == 403
    assert server.client.get("/api/v1/tenants/quiet").json()["name"] == "quiet"


def test_the_command_shows_and_changes_them(server: RunningServer) -> None:
    keys_of(server, "by-command")
    mine = "--tenant", "by-command", "--data", server.platform.folder.path
    assert (
        bursar("tenants", "settings", "--zone", "Europe/Berlin", *mine, "--json").json["zone"]
        == "Europe/Berlin"
    )
    shown = bursar("tenants", "settings", *mine).out
    assert "Europe/Berlin" in shown
    assert "/api/v1/retention" in shown
