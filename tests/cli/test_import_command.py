"""`bursar import`: recorded answers and native events come in once, and what doesn't is named."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from bursar.cli.import_sources import events_in
from tests.cli.command_line import bursar
from tests.support.recorded import FIXTURES, recorded_names
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_760_000_000,
    "model": "gpt-4.1-mini-2025-04-14",
    "choices": [],
    "usage": {"prompt_tokens": 1_000, "completion_tokens": 500, "total_tokens": 1_500},
}
STREAM = """\
event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",\
"model":"claude-haiku-4-5-20251001","content":[],"usage":{"input_tokens":200,"output_tokens":1}}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":100}}

event: message_stop
data: {"type":"message_stop"}

"""
EVENT = {"provider": "openai", "model": "gpt-4.1-mini", "input_tokens": 1_000_000}


@pytest.fixture
def data(tmp_path: Path) -> Generator[Path]:
    folder = tmp_path / "data"
    with running_server(folder):
        yield folder


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    folder = tmp_path / "answers"
    (folder / "deep").mkdir(parents=True)
    (folder / "chat.json").write_text(json.dumps(CHAT))
    (folder / "deep" / "stream.txt").write_text(STREAM)
    (folder / "notes.md").write_text("# no answer at all")
    return folder


def lines(path: Path, *items: object) -> Path:
    path.write_text("\n".join(item if isinstance(item, str) else json.dumps(item) for item in items) + "\n")
    return path


def test_recorded_answers_are_priced_and_the_rest_is_listed_with_reasons(data: Path, answers: Path) -> None:
    said = bursar("import", "--provider-responses", answers, "--data", data)
    assert said.code == 0
    assert "1000 input_text, 500 output_text" in said.out
    # 1,000 x $0.40 and 500 x $1.60 per million; 200 x $1 and 100 x $5 per million.
    assert "0.0012" in said.out
    assert "0.0007" in said.out
    assert "notes.md" in said.out
    assert "unreadable_file" in said.out
    assert "2 events recorded, 1 files without an event. Cost of what is new: 0.0019 USD." in said.out


def test_an_answer_that_does_not_tell_whose_it_is_can_be_told(data: Path, answers: Path) -> None:
    arguments = ("import", "--provider-responses", answers / "chat.json", "--data", data, "--json")
    (item,) = bursar(*arguments, "--provider", "openai").json["items"]
    assert (item["place"], item["provider"], item["cost"]) == ("chat.json", "openai", "0.0012")


def test_importing_the_same_answers_again_counts_nothing_twice(data: Path, answers: Path) -> None:
    arguments = ("import", "--provider-responses", answers, "--data", data, "--json")
    first, second = bursar(*arguments).json, bursar(*arguments).json
    assert first["outcomes"] == {"new": 2}
    assert first["cost"] == {"USD": "0.0019"}
    assert second["outcomes"] == {"duplicate": 2}
    assert second["cost"] == {}
    assert [one["cost"] for one in second["items"]] == [one["cost"] for one in first["items"]]


def test_every_recorded_answer_comes_in_once_and_none_is_refused(data: Path) -> None:
    recorded_names("responses")
    arguments = ("import", "--provider-responses", FIXTURES / "responses", "--data", data, "--json")
    first, second = bursar(*arguments).json, bursar(*arguments).json

    assert (first["rejected"], second["rejected"]) == ([], [])
    assert set(first["outcomes"]) == {"new"}
    assert second["outcomes"] == {"duplicate": first["outcomes"]["new"]}


def test_what_nobody_counted_is_shown_as_an_estimate(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 characters each way / 4 = 10 tokens; gpt-4.1-mini: 10 x $0.40 + 10 x $1.60 per million."""
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    words = "forty characters of english text in here"
    chunk = {"id": "c-e", "model": "gpt-4.1-mini", "choices": [{"delta": {"content": words}}]}
    recording = {
        "provider": "openai",
        "api": "chat",
        "request": {"body": {"messages": [{"role": "user", "content": words}]}},
        "response": {"status": 200, "sse": f"data: {json.dumps(chunk)}\n\n"},
    }
    (tmp_path / "stream.json").write_text(json.dumps(recording))
    arguments = ("import", "--provider-responses", tmp_path / "stream.json", "--data", data)

    said = bursar(*arguments)
    again = bursar(*arguments, "--json").json

    assert "Cost of what is new: 0.00002 USD, of it 0.00002 USD estimated." in said.out
    assert [(item["status"], item["cost"]) for item in again["items"]] == [("estimated", "0.00002")]


def test_old_events_are_taken_and_priced_at_their_time(data: Path, tmp_path: Path) -> None:
    file = lines(tmp_path / "old.ndjson", {**EVENT, "time": "2025-06-01T12:00:00Z"})
    assert "Cost of what is new: 0.4 USD." in bursar("import", file, "--data", data).out


def test_a_file_imported_twice_counts_once_also_without_event_ids(data: Path, tmp_path: Path) -> None:
    file = lines(tmp_path / "events.ndjson", EVENT, "", EVENT, {**EVENT, "event_id": "mine"})
    assert "3 events recorded." in bursar("import", file, "--data", data).out
    assert "0 events recorded, 3 known already." in bursar("import", file, "--data", data).out


def test_an_event_changed_under_its_id_is_a_conflict(data: Path, tmp_path: Path) -> None:
    first = lines(tmp_path / "a.ndjson", {**EVENT, "event_id": "one"})
    second = lines(tmp_path / "b.ndjson", {**EVENT, "event_id": "one", "input_tokens": 7})
    bursar("import", first, "--data", data)
    assert "1 known already with other content" in bursar("import", second, "--data", data).out


def test_refused_lines_are_named_and_the_others_are_recorded(data: Path, tmp_path: Path) -> None:
    unknown = {**EVENT, "mood": "typo"}
    file = lines(tmp_path / "mixed.ndjson", EVENT, "{broken", unknown, "[1]", '{"latency_ms": NaN}', EVENT)
    said = bursar("import", file, "--data", data)
    assert said.code == 1
    assert "2 events recorded, 4 refused." in said.out
    assert "mixed.ndjson:2" in said.err
    assert "mixed.ndjson:3: mood" in said.err
    assert "mixed.ndjson:4: It is no JSON object." in said.err
    assert "NaN is no JSON" in said.err


def test_a_file_in_which_nothing_is_right_records_nothing(data: Path, tmp_path: Path) -> None:
    file = lines(tmp_path / "bad.ndjson", *({"mood": n} for n in range(30)))
    said = bursar("import", file, "--data", data)
    assert said.code == 1
    assert "0 events recorded, 30 refused." in said.out
    assert "… and 10 more refused." in said.err


def test_events_without_a_price_are_counted_with_their_reasons(data: Path, tmp_path: Path) -> None:
    file = lines(tmp_path / "own.ndjson", {**EVENT, "provider": "acme", "model": "own"}, EVENT)
    said = bursar("import", file, "--data", data).out
    assert "1 of them have no known price (unknown_provider 1)." in said


def test_an_import_may_be_for_another_tenant(data: Path, tmp_path: Path) -> None:
    bursar("tenants", "create", "--data", data, "--id", "acme")
    file = lines(tmp_path / "events.ndjson", EVENT)
    bursar("import", file, "--data", data, "--tenant", "acme")
    asked = ("query", "--data", data, "--measures", "events", "--window", "all", "--format", "json")
    assert bursar(*asked, "--tenant", "acme").json["totals"] == {"events": 1}
    assert bursar(*asked).json["totals"] == {"events": 0}


def test_either_files_or_a_folder_of_answers_must_be_named(data: Path, answers: Path, tmp_path: Path) -> None:
    file = lines(tmp_path / "events.ndjson", EVENT)
    assert bursar("import", "--data", data).code == 2
    assert bursar("import", file, "--provider-responses", answers, "--data", data).code == 2
    assert bursar("import", tmp_path / "missing.ndjson", "--data", data).code == 2


def test_fractions_keep_every_digit(tmp_path: Path) -> None:
    file = lines(tmp_path / "exact.ndjson", '{"cost": {"amount": 0.123456789012345678}, "latency_ms": 0.1}')
    (item,) = [item for step in events_in([file]).steps(10) for item in step]
    assert item.event is not None
    assert item.event["cost"] == {"amount": Decimal("0.123456789012345678")}
    assert item.event["latency_ms"] == 0.1
