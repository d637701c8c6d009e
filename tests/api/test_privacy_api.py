"""Privacy rules over HTTP: shown, chosen, tried, in force at every door, and each tenant's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support import access
from tests.support.patience import wait_until
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.serving import RunningServer

PATH = "/api/v1/privacy"
APPLIED = "/api/v1/events?wait=applied"
IMPORT = "/api/v1/events/import?wait=applied"
EVENT: dict[str, Any] = {"provider": "openai", "model": "gpt-4o-mini", "input_tokens": 10, "output_tokens": 5}
KEY = "AKIAIOSFODNN7EXAMPLE"
ADA = "ada@example.com"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


class Tenant(access.Tenant):
    """A tenant, and what the tests here ask of it."""

    def choose(self, **rules: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        answer = self.ask("PUT", PATH, json=rules)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def send(self, where: str = APPLIED, **said: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        answer = self.ask("POST", where, "ingest", json={**EVENT, **said})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def event(self, event_id: str) -> dict[str, Any]:
        return self.ask("GET", f"/api/v1/events/{event_id}").json()


@pytest.fixture
def acme(server: RunningServer, request: pytest.FixtureRequest) -> Tenant:
    return Tenant(server, f"t{abs(hash(request.node.name)) % 10**9}")


def test_without_rules_of_its_own_a_tenant_has_the_default(acme: Tenant) -> None:
    shown = acme.ask("GET", PATH, "read").json()

    assert shown["is_default"] is True
    assert shown["detectors"] == {
        "key": "mark",
        "card": "off",
        "iban": "off",
        "email": "off",
        "phone": "off",
        "random": "off",
    }
    assert (shown["text"], shown["allowed_metadata"], shown["redactions"]) == ("drop", None, {})


def test_rules_count_at_once_at_every_door_for_events(acme: Tenant) -> None:
    acme.choose(detectors={"email": "mark"})
    said: dict[str, Any] = {"metadata": {"to": ADA, "key": KEY}, "tags": {ADA: "x"}}
    answer = {
        "id": "resp-1",
        "model": "gpt-4o-mini",
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "by": ADA},
    }

    acme.send(event_id="single", **said)
    acme.ask(
        "POST", "/api/v1/events/batch?wait=applied", "ingest", json=[{**EVENT, "event_id": "batch", **said}]
    )
    acme.send(IMPORT, event_id="import", **said)
    acme.send("/api/v1/events/import?wait=applied&provider=openai&event_id=answer", **answer)
    acme.send(event_id="corrected")
    acme.ask("PUT", "/api/v1/events/corrected?reason=better", json={**EVENT, **said})

    for event_id in ("single", "batch", "import", "corrected"):
        found = acme.event(event_id)
        assert found["metadata"] == {"to": "[redacted:email]", "key": "[redacted:key]"}, event_id
        assert found["tags"] == {"[redacted:email]": "x"}
    assert acme.event("answer")["usage"]["by"] == "[redacted:email]"
    assert acme.ask("GET", PATH, "read").json()["redactions"] == {"email": 9, "key": 4}


def test_the_same_event_twice_is_a_duplicate_before_and_after_rules_change(acme: Tenant) -> None:
    said: dict[str, Any] = {"event_id": "once", "metadata": {"key": KEY, "prompt": "tell me"}}
    acme.send(**said)
    acme.choose(text="keep", detectors={"key": "hash"})

    again = acme.ask("POST", APPLIED, "ingest", json=[{**EVENT, **said}]).json()["events"][0]

    assert again["outcome"] == "duplicate"


def test_what_could_be_guessed_is_compared_by_the_tenant_s_key_whatever_the_rules(acme: Tenant) -> None:
    said: dict[str, Any] = {"event_id": "once", "metadata": {"to": ADA, "tel": "+4917123456789"}}
    acme.choose(detectors={"email": "mark"})
    acme.send(**said)
    acme.choose(detectors={"email": "hash", "phone": "drop"})

    again = acme.ask("POST", APPLIED, "ingest", json=[{**EVENT, **said}]).json()["events"][0]
    changed = {**EVENT, **said, "metadata": {"to": "bob@example.com"}}
    other = acme.ask("POST", APPLIED, "ingest", json=[changed]).json()["events"][0]

    assert again["outcome"] == "duplicate"
    assert other["outcome"] == "conflict"


def test_hashes_are_the_same_for_the_same_and_another_tenant_s_are_others(server: RunningServer) -> None:
    one, other = Tenant(server, "hashes-1"), Tenant(server, "hashes-2")
    marks: list[str] = []
    for tenant in (one, other):
        shown = tenant.choose(detectors={"email": "hash"})
        assert shown["makes_hashes"] is True
        for event_id, said in (("a", ADA), ("b", "ADA@example.com")):
            tenant.send(event_id=event_id, metadata={"to": said})
            marks.append(tenant.event(event_id)["metadata"]["to"])

    assert marks[0] == marks[1]
    assert marks[2] == marks[3]
    assert marks[0] != marks[2]


def test_once_their_key_is_revoked_and_rules_are_chosen_again_hashes_are_others(acme: Tenant) -> None:
    rules = {"detectors": {"email": "hash"}}
    acme.choose(**rules)
    acme.send(event_id="before", metadata={"to": ADA})
    key_of_hashes = acme.ask("GET", "/api/v1/credentials").json()["items"][0]
    assert acme.ask("DELETE", f"/api/v1/credentials/{key_of_hashes['id']}").status_code < 300

    assert acme.choose(**rules)["makes_hashes"] is True

    acme.send(event_id="after", metadata={"to": ADA})
    marks = [acme.event(one)["metadata"]["to"] for one in ("before", "after")]
    assert all(mark.startswith("[email:") for mark in marks)
    assert marks[0] != marks[1]


def test_a_hashed_person_is_erased_by_what_they_go_by(acme: Tenant) -> None:
    acme.choose(detectors={"email": "hash"}, fields={"user_id": "find"})
    acme.send(event_id="hers", user_id=ADA, metadata={"to": ADA})
    acme.send(event_id="his", user_id="bob@example.com")
    asked = {"identifiers": [ADA], "reason": "asked for it"}
    assert (
        acme.ask("POST", "/api/v1/erasures", json={**asked, "dry_run": True}).json()["found"]["events"] == 1
    )

    run = acme.ask("POST", "/api/v1/erasures", json=asked).json()["run"]
    path = f"/api/v1/scheduler/runs/{run['id']}"
    wait_until(lambda: acme.ask("GET", path).json()["state"] == "succeeded", "the erasure")

    hers, his = acme.event("hers"), acme.event("his")
    assert (hers["user_id"], hers["metadata"]) == (None, None)
    assert his["user_id"].startswith("[email:")
    assert acme.ask("GET", path).json()["result"]["left"] == 0


def test_only_what_is_listed_is_kept(acme: Tenant) -> None:
    acme.choose(allowed_metadata=["ticket"], allowed_tags=[])
    acme.send(event_id="listed", metadata={"ticket": 1, "who": "ada"}, tags={"team": "x"})

    found = acme.event("listed")
    assert (found["metadata"], found["tags"]) == ({"ticket": 1}, {})
    assert acme.ask("GET", PATH).json()["redactions"] == {"allow_list": 2}


def test_text_is_kept_only_while_the_tenant_wants_it(acme: Tenant) -> None:
    acme.send(event_id="off", metadata={"prompt": "tell me", "ticket": 1})
    acme.choose(text="keep")
    acme.send(event_id="on", metadata={"prompt": "tell me", "ticket": 1})
    acme.choose()
    acme.send(event_id="off again", metadata={"prompt": "tell me", "ticket": 1})

    assert acme.event("off")["metadata"] == acme.event("off again")["metadata"] == {"ticket": 1}
    assert acme.event("on")["metadata"] == {"prompt": "tell me", "ticket": 1}


def test_rules_can_be_tried_on_a_text_and_an_event_and_nothing_is_counted(acme: Tenant) -> None:
    rules = {"patterns": [{"name": "employee", "pattern": r"\bE-[0-9]{6}\b"}], "detectors": {"email": "mark"}}
    body = {
        "text": f"E-123456 wrote to {ADA}",
        "event": {**EVENT, "metadata": {"by": "E-123456"}},
        "rules": rules,
    }

    shown = acme.ask("POST", f"{PATH}/test", "read", json=body).json()
    in_force = acme.ask("POST", f"{PATH}/test", "read", json={"text": f"{ADA} {KEY}"}).json()

    assert shown["text"] == "[redacted:employee] wrote to [redacted:email]"
    assert shown["event"]["metadata"] == {"by": "[redacted:employee]"}
    assert shown["redactions"] == {"email": 1, "employee": 2}
    assert in_force["text"] == f"{ADA} [redacted:key]"
    assert acme.ask("GET", PATH).json()["redactions"] == {}


@pytest.mark.parametrize(
    ("rules", "field", "code"),
    [
        ({"patterns": [{"name": "a", "pattern": "("}]}, "patterns.0.pattern", "invalid_pattern"),
        ({"patterns": [{"name": "a", "pattern": "a*"}]}, "patterns.0.pattern", "invalid_pattern"),
        ({"patterns": [{"name": "a", "pattern": "(?=a)"}]}, "patterns.0.pattern", "invalid_pattern"),
        ({"patterns": [{"name": "email", "pattern": "a"}]}, "patterns.0.name", "reserved_name"),
        (
            {"patterns": [{"name": "a", "pattern": "a"}, {"name": "a", "pattern": "b"}]},
            "patterns.1.name",
            "name_taken",
        ),
        ({"patterns": [{"name": "A b", "pattern": "a"}]}, "patterns.0.name", "string_pattern_mismatch"),
        ({"patterns": [{"name": "a", "pattern": "a" * 501}]}, "patterns.0.pattern", "string_too_long"),
        ({"detectors": {"address": "mark"}}, "detectors.address.[key]", "literal_error"),
        ({"detectors": {"email": "burn"}}, "detectors.email", "enum"),
        ({"fields": {"event_id": "hash"}}, "fields.event_id.[key]", "literal_error"),
        ({"text": "maybe"}, "text", "enum"),
        ({"txt": "drop"}, "txt", "extra_forbidden"),
    ],
)
def test_rules_that_can_t_be_are_refused_by_place(acme: Tenant, rules: Any, field: str, code: str) -> None:  # noqa: ANN401 - JSON
    answer = acme.ask("PUT", PATH, json=rules)

    assert answer.status_code == 422
    assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [(field, code)]
    assert acme.ask("GET", PATH).json()["is_default"] is True


def test_every_tenant_has_rules_of_its_own_and_needs_the_permission(server: RunningServer) -> None:
    acme, other = Tenant(server, "own-rules"), Tenant(server, "others-rules")
    acme.choose(detectors={"email": "mark"})
    other.send(event_id="theirs", metadata={"to": ADA})

    assert other.event("theirs")["metadata"] == {"to": ADA}
    assert other.ask("GET", PATH).json()["is_default"] is True
    assert acme.ask("PUT", PATH, "read", json={}).status_code == 403
    assert acme.ask("GET", PATH, "ingest").status_code == 403
    assert acme.ask("PUT", f"{PATH}?tenant_id=others-rules", json={}).status_code == 403


def test_a_change_is_in_the_audit_log_with_what_it_replaced(acme: Tenant) -> None:
    acme.choose(detectors={"email": "mark"})
    acme.choose(detectors={"email": "hash"})

    latest = acme.ask("GET", "/api/v1/audit?act=privacy.change").json()["items"][0]

    assert latest["before"] == {"detectors": {"email": "mark"}}


def test_who_stops_taking_keys_out_shows_in_the_audit_log(acme: Tenant) -> None:
    acme.choose(detectors={"key": "drop"})
    acme.choose(detectors={"key": "off"})

    done, begun = acme.ask("GET", "/api/v1/audit?act=privacy.change").json()["items"][:2]

    assert done["before"]["detectors"]["key"] == "drop"
    assert begun["asked"]["detectors"]["key"] == done["after"]["detectors"]["key"] == "off"


def test_the_operator_sees_counts_by_rule_and_no_tenant(acme: Tenant) -> None:
    acme.choose(patterns=[{"name": "employee", "pattern": "E-[0-9]{6}"}])
    acme.send(metadata={"by": "E-123456"})

    lines = acme.server.client.get("/metrics").text.splitlines()
    found = {
        line.split("}")[0].split('"')[1]: float(line.split()[-1])
        for line in lines
        if line.startswith("bursar_redactions_total{")
    }

    assert found["own"] >= 1
    assert "employee" not in found
    assert "text" in found
