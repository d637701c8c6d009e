"""Registered services over HTTP: as the replaced system prints them, held at the door, each tenant's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from tests.support import access
from tests.support.patience import wait_until
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.serving import RunningServer

PATH = "/api/v1/services"
EVENTS = "/api/v1/events?wait=applied"
AS_PRINTED = """{
    "service_type": "custom_ml_service",
    "service_name": "Custom ML Service",
    "providers": ["provider_a", "provider_b"],
    "required_fields": ["model_version", "predictions"],
    "billing_config": {
      "unit": "predictions",
      "calculation_method": "multiply",
      "rates": {"standard": 0.001}
    }
  }"""
"""The README of the replaced usage tracking system, section Service Registry."""
FLAT = {
    "service_type": "custom_ml_service",
    "provider": "provider_a",
    "model_version": "v2",
    "predictions": 500,
}
NESTED = {
    "service_type": "custom_ml_service",
    "service_provider": "Provider_B",
    "event_type": "predict",
    "metadata": {"model_version": "v2"},
    "metrics": {"predictions": 500},
}
CANONICAL = {
    "service_type": "custom_ml_service",
    "provider": "provider_b",
    "metadata": {"model_version": "v2"},
    "units": {"predictions": "500.0"},
}
IN_METADATA = {
    "service_type": "custom_ml_service",
    "provider": "provider_b",
    "metadata": {"model_version": "v2", "predictions": 500},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


class Tenant(access.Tenant):
    """A tenant, and what the tests here ask of it."""

    def ask(self, method: str, path: str, key: str = "admin", **more: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        return super().ask(method, path, key, headers={"Content-Type": "application/json"}, **more)

    def send(self, *events: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        answer = self.ask("POST", EVENTS, json=list(events))
        assert answer.status_code in {200, 422}, answer.text
        return answer.json()


def refusals(answer: Any) -> list[list[tuple[str, str]]]:  # noqa: ANN401 - JSON
    return [[(one["field"], one["code"]) for one in item["errors"]] for item in answer["rejected"]]


def test_the_printed_example_is_registered_and_its_events_get_the_right_cost(server: RunningServer) -> None:
    tenant = Tenant(server, "printed")
    made = tenant.ask("POST", PATH, content=AS_PRINTED)
    assert made.status_code == 201, made.text
    assert made.json()["billing_config"]["rates"] == {"standard": "0.001"}
    answer = tenant.send(FLAT, NESTED, CANONICAL, IN_METADATA, FLAT | {"predictions": 0})
    assert [event["cost"] for event in answer["events"]] == [
        *[{"status": "priced", "currency": "USD", "total": "0.5"}] * 4,
        {"status": "priced", "currency": "USD", "total": "0"},
    ]
    event_id = answer["events"][0]["event_id"]
    explained = tenant.ask("GET", f"/api/v1/events/{event_id}/explain", "read").json()
    (line,) = explained["explanation"]["lines"]
    expected = {"unit": "predictions", "quantity": "500", "rate": "0.001 USD / predictions", "amount": "0.5"}
    assert line == line | expected
    card = explained["explanation"]["card"]
    assert (card["kind"], card["rule"], card["book_version"]) == (
        "billing_rule",
        "billing_rule:default",
        "custom_ml_service@1",
    )
    assert explained["adds_up"] is True
    summary = tenant.ask("GET", "/api/v1/cost/summary?days=1", "read").json()
    assert (summary["total_cost"], summary["total_transactions"]) == ("2", 5)


def test_events_that_are_not_as_agreed_are_refused_by_field_and_rule_and_their_neighbours_taken(
    server: RunningServer,
) -> None:
    tenant = Tenant(server, "strict")
    tenant.ask("POST", PATH, content=AS_PRINTED).raise_for_status()
    answer = tenant.send(
        FLAT | {"provider": "provider_c", "model_version": None, "typo": 1},
        {"service_type": "custom_ml_service", "units": {"predictions": 1}},
        FLAT | {"predictions": -3},
        IN_METADATA | {"metadata": {"model_version": "v2", "predictions": -3}},
        FLAT,
        {"provider": "openai", "model": "gpt-4o", "input_tokens": 1000},
        {"service_type": "never_registered", "metrics": {"things": 3}},
    )
    assert answer["accepted"] == 3
    assert refusals(answer) == [
        [("typo", "unknown_field"), ("provider", "unknown_provider"), ("model_version", "required_field")],
        [("provider", "required_field"), ("model_version", "required_field")],
        [("units.predictions", "out_of_range")],
        [("metadata.predictions", "out_of_range")],
    ]
    assert [event["cost"].get("reason") for event in answer["events"]] == [None, None, "no_billing_rule"]


SCHEMA = {
    "type": "object",
    "properties": {
        "pages": {"type": "integer", "minimum": 1},
        "confidence": {"type": "number", "maximum": 0.1},
        "language": {"type": "string", "pattern": "^[a-z]{2}$"},
    },
    "required": ["language"],
    "additionalProperties": False,
}


def test_a_json_schema_is_held_with_exact_numbers(server: RunningServer) -> None:
    tenant = Tenant(server, "schema")
    body = {"service_type": "ocr", "validation_schema": SCHEMA, "required_fields": ["language"]}
    tenant.ask("POST", PATH, json=body).raise_for_status()
    good = {"service_type": "ocr", "pages": 2, "language": "de", "confidence": 0.1}
    answer = tenant.send(
        good,
        {"service_type": "ocr", "metadata": {"language": "de"}, "units": {"pages": 2}},
        good | {"confidence": 0.10000001},
        good | {"pages": 0, "language": "german"},
        {"service_type": "ocr", "pages": 1},
        {"service_type": "ocr", "metadata": {"language": "de", "colour": "red"}},
    )
    assert answer["accepted"] == 2
    assert refusals(answer) == [
        [("confidence", "schema_maximum")],
        [("language", "schema_pattern"), ("pages", "schema_minimum")],
        [("language", "required_field")],
        [("$", "schema_additional_properties")],
    ]


DOUBLING: dict[str, Any] = {
    "$defs": {
        **{f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(30)},
        "d30": {"type": "object"},
    },
    "$ref": "#/$defs/d0",
}
ITSELF = {"$defs": {"a": {"properties": {"x": {"$ref": "#/$defs/a"}}}}, "$ref": "#/$defs/a"}
WITHIN_AN_ADDRESS = {
    "$defs": {**dict.fromkeys(DOUBLING["$defs"], True), "sub": {"$id": "http://x/y", **DOUBLING}},
    "$ref": "#/$defs/sub",
}
MANY_PATTERNS = {"properties": {f"p{n}": {"pattern": "a{1000}b"} for n in range(51)}}


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"validation_schema": {"type": "nonsense"}}, ["validation_schema"]),
        ({"validation_schema": {"$ref": "http://127.0.0.1:9/schema.json"}}, ["validation_schema"]),
        ({"validation_schema": DOUBLING}, ["validation_schema"]),
        ({"validation_schema": ITSELF}, ["validation_schema"]),
        ({"validation_schema": {"$ref": "#"}}, ["validation_schema"]),
        ({"validation_schema": WITHIN_AN_ADDRESS}, ["validation_schema"]),
        ({"validation_schema": MANY_PATTERNS}, ["validation_schema"]),
        ({"validation_schema": {"pattern": r"(?i)\w{90}\pL{50}"}}, ["validation_schema"]),
        ({"validation_schema": {"$ref": "#/nowhere"}}, ["validation_schema"]),
        ({"validation_schema": {"pattern": "(?=look)(ahead)"}}, ["validation_schema"]),
        ({"optional_fields": ["predictions"]}, ["optional_fields"]),
        ({"billing_config": {"rates": {"standard": 1}}}, ["billing_config.unit"]),
        ({"billing_config": {"unit": "x", "rate": -1}}, ["billing_config.rate"]),
        ({"billing_config": {"unit": "x", "rate": "NaN"}}, ["billing_config.rate"]),
        ({"billing_config": {"unit": "x", "rate": 1, "rates": {"a": 1}}}, ["billing_config.rate"]),
        ({"billing_config": {"unit": "x", "rate": "0.1234567890123456789"}}, ["billing_config.rate"]),
        ({"service_type": "no spaces"}, ["service_type"]),
        ({"nonsense": 1}, ["nonsense"]),
        ({"required_fields": ["a" * 65]}, ["required_fields.0"]),
    ],
)
def test_what_cannot_be_registered_is_refused_by_its_field(
    server: RunningServer, change: dict[str, Any], fields: list[str]
) -> None:
    import json  # noqa: PLC0415 - of this test only

    answer = server.client.post(PATH, json={**json.loads(AS_PRINTED), **change})
    assert answer.status_code == 422, answer.text
    assert [error["field"].removeprefix("body.") for error in answer.json()["errors"]] == fields


def test_a_schema_may_refer_to_parts_of_itself(server: RunningServer) -> None:
    tenant = Tenant(server, "parts")
    pages = {"$defs": {"a/b": {"minimum": 2}}, "properties": {"pages": {"$ref": "#/$defs/a~1b"}}}
    body = {"service_type": "ocr", "validation_schema": pages}
    tenant.ask("POST", PATH, json=body).raise_for_status()
    answer = tenant.send({"service_type": "ocr", "pages": 2}, {"service_type": "ocr", "pages": 1})
    assert (answer["accepted"], refusals(answer)) == (1, [[("pages", "schema_minimum")]])


def test_what_no_json_reader_takes_is_refused(server: RunningServer) -> None:
    headers = {"Content-Type": "application/json"}
    odd_schema = AS_PRINTED.replace(
        '"service_name"', '"validation_schema": {"title": "\\ud800"}, "service_name"'
    )
    for odd in (odd_schema, AS_PRINTED.replace("0.001", "1e-999")):
        assert server.client.post(PATH, content=odd, headers=headers).status_code == 400


def test_a_service_is_its_tenants_own_and_changes_need_the_admin_scope(server: RunningServer) -> None:
    mine, other = Tenant(server, "mine"), Tenant(server, "other")
    for scope, code in (("ingest", 403), ("read", 403), ("admin", 201), ("admin", 409)):
        assert mine.ask("POST", PATH, scope, content=AS_PRINTED).status_code == code
    one = f"{PATH}/custom_ml_service"
    assert mine.ask("GET", one, "ingest").status_code == 403
    assert mine.ask("GET", one, "read").status_code == 200
    for method in ("GET", "PUT", "DELETE"):
        assert other.ask(method, one, content=AS_PRINTED).status_code == 404, method
    assert other.ask("GET", f"{one}/versions").status_code == 404
    names = [item["service_type"] for item in other.ask("GET", PATH).json()["items"]]
    assert names == ["llm_service", "document_processor", "api_service", "custom"]
    assert other.ask("GET", PATH, params={"tenant_id": "mine"}).status_code == 403
    assert server.client.get(one, params={"tenant_id": "mine"}).json()["version"] == 1
    assert server.stranger.get(PATH).status_code == 401
    # An event of the other tenant is as free as any of a type that it never registered.
    assert other.send({"service_type": "custom_ml_service", "metrics": {"predictions": 1}})["accepted"] == 1


def test_versions_are_kept_and_a_retired_service_checks_nothing(server: RunningServer) -> None:
    tenant = Tenant(server, "versions")
    one = f"{PATH}/custom_ml_service"
    tenant.ask("POST", PATH, content=AS_PRINTED).raise_for_status()
    second = tenant.ask("PUT", one, content=AS_PRINTED.replace("0.001", "0.002").replace("500", "5"))
    assert second.json()["version"] == 2
    assert tenant.send(FLAT)["events"][0]["cost"]["total"] == "1"
    mismatch = tenant.ask("PUT", f"{PATH}/another", content=AS_PRINTED)
    assert (mismatch.status_code, mismatch.json()["errors"][0]["field"]) == (422, "service_type")
    assert tenant.ask("DELETE", one).json()["is_retired"] is True
    assert tenant.ask("DELETE", one).status_code == 404
    shown = tenant.ask("GET", f"{one}/versions").json()["items"]
    assert [(item["version"], item["is_retired"]) for item in shown] == [(3, True), (2, False), (1, False)]
    assert all(item["recorded_by"].startswith("key_") for item in shown)
    assert tenant.ask("GET", f"{one}?version=1").json()["billing_config"]["rates"] == {"standard": "0.001"}
    assert tenant.ask("GET", f"{one}?version=9").status_code == 404
    free = {"service_type": "custom_ml_service", "metrics": {"predictions": 1}}
    assert tenant.send(free)["events"][0]["cost"]["reason"] == "no_billing_rule"
    assert tenant.ask("POST", PATH, content=AS_PRINTED).json()["version"] == 4


def test_built_in_services_stay_as_they_are(server: RunningServer) -> None:
    body = {"service_type": "document_processor"}
    answer = server.client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "built_in_service")
    assert server.client.put(f"{PATH}/document_processor", json=body).status_code == 409
    assert server.client.delete(f"{PATH}/document_processor").status_code == 409
    shown = server.client.get(f"{PATH}/document_processor").json()
    assert (shown["is_built_in"], shown["version"]) == (True, 0)
    assert "pages_processed" in shown["optional_fields"]


def test_a_retry_is_known_again_and_a_correction_is_held_to_the_registration(server: RunningServer) -> None:
    tenant = Tenant(server, "again")
    tenant.ask("POST", PATH, content=AS_PRINTED).raise_for_status()
    event = FLAT | {"event_id": "p-1", "time": clock.rfc3339(clock.now())}
    assert [tenant.send(event)["events"][0]["outcome"] for _ in range(2)] == ["new", "duplicate"]
    refused = tenant.ask("PUT", "/api/v1/events/p-1?reason=x", json=event | {"provider": "x", "typo": 1})
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == ["typo", "provider"]
    changed = tenant.ask("PUT", "/api/v1/events/p-1?reason=x", json=event | {"predictions": 7})
    assert (changed.json()["old_cost"]["total"], changed.json()["new_cost"]["total"]) == ("0.5", "0.007")
    check = tenant.ask("POST", "/api/v1/prices/check", "read", json=[event, event | {"provider": "x"}]).json()
    assert check["items"][0]["explanation"]["total"] == "0.5"
    assert [error["code"] for error in check["items"][1]["errors"]] == ["unknown_provider"]


def test_a_tenant_that_is_made_again_has_no_services_and_no_rules(server: RunningServer) -> None:
    tenant = Tenant(server, "phoenix")
    tenant.ask("POST", PATH, content=AS_PRINTED).raise_for_status()
    rule = {"service_type": "document_processor", "unit": "pages", "rate": 1}
    tenant.ask("POST", "/api/v1/billing-rules", json=rule).raise_for_status()
    body = {"confirm": "phoenix", "reason": "starts anew"}
    deleted = server.client.request("DELETE", "/api/v1/tenants/phoenix", json=body).raise_for_status().json()
    url = deleted["run"]["url"]
    wait_until(lambda: server.client.get(url).json()["state"] == "succeeded", "the tenant is deleted")
    again = Tenant(server, "phoenix")
    pages = {"service_type": "document_processor", "units": {"pages": 1}}
    answer = again.send({"service_type": "custom_ml_service", "metrics": {"predictions": 1}}, pages)
    assert [event["cost"]["reason"] for event in answer["events"]] == ["no_billing_rule"] * 2
    assert len(again.ask("GET", PATH).json()["items"]) == 4
    assert again.ask("GET", "/api/v1/billing-rules?withdrawn=true").json()["items"] == []


def test_an_operators_event_is_held_to_the_tenant_that_it_names(server: RunningServer) -> None:
    tenant = Tenant(server, "named")
    tenant.ask("POST", PATH, content=AS_PRINTED).raise_for_status()
    named = FLAT | {"tenant_id": "named"}
    answer = server.client.post(EVENTS, json=[named, named | {"provider": "x"}, FLAT | {"event_id": "own"}])
    assert answer.json()["events"][0]["cost"]["total"] == "0.5"
    assert refusals(answer.json())[0] == [("provider", "unknown_provider")]
    # The operator's own tenant has no such service, and so no such field.
    assert ("predictions", "unknown_field") in refusals(answer.json())[1]


def test_a_restart_keeps_services_and_their_billing(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("restart")
    with running_server(folder) as first:
        first.client.post(PATH, content=AS_PRINTED, headers={"Content-Type": "application/json"})
        first.client.post(EVENTS, json=FLAT).raise_for_status()
    with running_server(folder) as second:
        assert second.client.post(EVENTS, json=FLAT).json()["events"][0]["cost"]["total"] == "0.5"
        assert second.client.post(EVENTS, json=FLAT | {"provider": "x"}).status_code == 422
