"""The OpenAPI document says what the API does: complete, consistent, and true of real answers."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import msgspec
import pytest
import schemathesis

from bursar.app.answer_posts import ANSWER_PARAMETERS, STREAM_TYPES
from bursar.app.middleware import DOCUMENT_PATHS
from bursar.usage.bodies import MEDIA_TYPES
from bursar.usage.event import UsageEvent
from tests.support.api_document import api_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.serving import RunningServer

DOCUMENT = api_document()
EVENT_PATHS = ("/api/v1/events", "/api/v1/events/batch", "/api/v1/events/import")


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation with its method and path."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def conforms(name: str, instance: object) -> None:
    """Hold an instance against a schema of the document."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    jsonschema_rs.validate(schema, instance)


def test_the_served_document_is_the_one_made_without_a_platform(server: RunningServer) -> None:
    assert server.stranger.get("/openapi.json").json() == json.loads(json.dumps(DOCUMENT))


def test_it_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(DOCUMENT).validate()


def test_every_reference_leads_somewhere() -> None:
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT)):
        place: Any = DOCUMENT
        for part in reference.split("/"):
            place = place[part]


def test_operations_have_names_of_their_own_and_known_tags() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))
    known = {tag["name"] for tag in DOCUMENT["tags"]}
    assert {tag for _, _, operation in operations() for tag in operation["tags"]} <= known


WAYS_IN = ("accept", "forgot", "login", "oidc/callback", "oidc/login", "refresh", "token")


def test_only_the_open_paths_need_no_credential() -> None:
    open_paths = {
        path
        for _, path, operation in operations()
        if not operation.get("security") or {} in operation["security"]
    }
    ways_in = {f"/api/v1/auth/{name}" for name in WAYS_IN}
    assert open_paths == {"/live", "/ready", "/ping", "/health", *ways_in}


def test_refusals_are_problem_documents_everywhere() -> None:
    for _, path, operation in operations():
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert response == {"$ref": f"#/components/responses/Refused{status}"}, path
    for response in DOCUMENT["components"]["responses"].values():
        assert list(response["content"]) == ["application/problem+json"]
    assert "HTTPValidationError" not in json.dumps(DOCUMENT)


def test_a_real_refusal_conforms(server: RunningServer) -> None:
    answer = server.client.post("/api/v1/events", json={"model": 3, "nonsense": True})
    assert answer.status_code == 422
    conforms("Problem", answer.json())
    conforms("Problem", DOCUMENT["components"]["schemas"]["Problem"]["example"])


@pytest.mark.parametrize("path", EVENT_PATHS)
def test_the_door_for_events_is_described_with_all_its_media_types(path: str) -> None:
    operation = DOCUMENT["paths"][path]["post"]
    takes_answers = path.endswith("/import")
    assert set(operation["requestBody"]["content"]) == {
        *(name for name in MEDIA_TYPES if name),
        *(STREAM_TYPES if takes_answers else ()),
    }
    assert {one["name"] for one in operation["parameters"]} == {
        "wait",
        "return",
        "tenant_id",
        "Idempotency-Key",
        *(ANSWER_PARAMETERS if takes_answers else ()),
    }
    assert {"200", "202", "401", "403", "413", "415", "422", "503"} <= set(operation["responses"])
    assert "gzip" in operation["requestBody"]["description"]


def test_the_event_is_described_field_by_field() -> None:
    schema = DOCUMENT["components"]["schemas"]["UsageEvent"]
    assert set(schema["properties"]) == {field.name for field in msgspec.structs.fields(UsageEvent)}
    assert schema["additionalProperties"] is False
    assert schema["properties"]["event_id"]["description"].startswith("Makes retries safe")


@pytest.mark.parametrize("query", ["", "?wait=applied", "?return=none"])
def test_examples_are_accepted_and_answers_conform(server: RunningServer, query: str) -> None:
    # Imported, for the time in the examples grows old.
    path = "/api/v1/events/import"
    content = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    for example in content["examples"].values():
        answer = server.client.post(path + query, json=example["value"])
        assert answer.status_code in {200, 202}, answer.text
        assert answer.json()["rejected"] == []
        conforms("IngestAnswer", answer.json())


def test_an_answer_with_good_and_bad_events_conforms(server: RunningServer) -> None:
    body = [{"provider": "openai", "model": "gpt-4o-mini", "input_tokens": 1}, {"input_tokens": -1}]
    for path in EVENT_PATHS:
        answer = server.client.post(path, json=body).json()
        assert (answer["accepted"], len(answer["rejected"])) == (1, 1)
        conforms("IngestAnswer", answer)
    example = DOCUMENT["paths"]["/api/v1/events"]["post"]["responses"]["202"]["content"]["application/json"]
    conforms("IngestAnswer", example["example"])


def test_every_route_is_counted_under_the_path_that_is_documented(server: RunningServer) -> None:
    for method, path, _ in operations():
        server.stranger.request(method, re.sub(r"\{[^}]+\}", "x", path))
    for path in DOCUMENT_PATHS:
        assert server.stranger.get(path).status_code == 200
    counted = set(re.findall(r'route="([^"]+)"', server.client.get("/metrics").text))
    assert {path for _, path, _ in operations()} | DOCUMENT_PATHS <= counted
