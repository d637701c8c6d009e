"""`bursar prices` beside a server and without one: what it says, what it keeps, and how it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.command_line import bursar
from tests.support.price_sources import litellm_file
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with running_server(tmp_path_factory.mktemp("data")) as server:
        yield server.platform.folder.path


def a_file(folder: Path, price: str) -> Path:
    """A data file with one model of one provider."""
    model = {"id": "newco-1", "match": {"equals": "newco-1"}, "prices": {"input_mtok": float(price)}}
    path = folder / f"{price}.json"
    path.write_text(json.dumps([{"id": "newco", "name": "Newco", "api_pattern": "x", "models": [model]}]))
    return path


def test_a_file_is_looked_at_kept_and_found_again(data: Path, tmp_path: Path) -> None:
    one, two = a_file(tmp_path, "1"), a_file(tmp_path, "1.25")
    looked = bursar("prices", "update", "--from", one, "--dry-run", "--data", data)
    assert "Nothing was changed: this was a dry run." in looked.out
    assert "newco-1" in looked.out
    assert bursar("prices", "show", "newco", "newco-1", "--data", data).code == 1
    kept = bursar("prices", "update", "--from", one, "--note", "a first one", "--data", data)
    assert "was kept." in kept.out
    assert "Nothing was to be changed." in bursar("prices", "update", "--from", one, "--data", data).out
    diff = bursar("prices", "diff", "--from", two, "--data", data)
    assert "+25 %" in diff.out
    bursar("prices", "update", "--from", two, "--data", data)
    rows = bursar("prices", "history", "newco", "newco-1", "--data", data, "--json").json["rows"]
    assert [row["price"] for row in rows] == ["1", "1.25"]
    shown = bursar("prices", "history", "newco", "newco-1", "--data", data)
    assert rows[0]["hash"][:8] in shown.out
    now = bursar("prices", "show", "newco", "newco-1", "--data", data)
    assert "1.25" in now.out
    updates = bursar("prices", "updates", "--data", data)
    assert "a first one" in updates.out
    assert "socket" in updates.out


def test_a_map_of_litellm_fills_gaps_and_is_compared(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    lite = {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 3e-06}
    path.write_bytes(litellm_file(**{"gpt-4o": lite, "gpt-next-99": lite}))
    checked = bursar("prices", "check", "--litellm", path, "--data", data)
    assert "disagrees 1 times" in checked.out
    assert "+20 %" in checked.out
    updated = bursar("prices", "update", "--litellm", path, "--data", data)
    assert "gpt-next-99" in updated.out
    sources = bursar("prices", "sources", "--data", data).out
    assert "litellm" in sources
    assert "genai-prices" in sources


def test_a_check_without_a_file_lists_what_is_odd(data: Path) -> None:
    assert "no_prices" in bursar("prices", "check", "--data", data).out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"{", "no JSON"),
        (
            b'{"m": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": "1"}}',
            "m.input_cost_per_token",
        ),
    ],
)
def test_a_bad_file_is_refused_by_entry_and_field(
    data: Path, tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    refused = bursar("prices", "update", "--litellm", path, "--data", data)
    assert (refused.code, words in refused.err) == (1, True), refused.err


def test_two_sources_or_a_missing_file_are_a_wrong_command_line(data: Path, tmp_path: Path) -> None:
    path = a_file(tmp_path, "1")
    both = bursar("prices", "diff", "--from", path, "--litellm", path, "--data", data)
    assert (both.code, "one source" in both.err) == (2, True)
    gone = bursar("prices", "diff", "--from", tmp_path / "gone.json", "--data", data)
    assert (gone.code, "can't be read" in gone.err) == (1, True)


def test_without_a_server_the_command_serves_the_folder_itself(tmp_path: Path) -> None:
    with running_server(tmp_path / "data"):
        pass
    found = bursar("prices", "sources", "--data", tmp_path / "data", "--json")
    assert [one["source"] for one in found.json] == ["genai-prices"]
