"""A story: a user asked to be forgotten, and no file of the data folder holds their name any more.

What a file system keeps of deleted files is beyond a program; what the files of the folder hold is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from tests.cli.command_line import bursar
from tests.support.server import server_process
from tests.support.serving import ADMIN_KEY

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

PERSON = "ada.lovelace-4711"
PROJECT = "legal"
"""All calls of the person are for it, and no others."""
OTHERS = 2_000


@pytest.mark.timeout(300)
def test_a_user_who_asked_to_be_forgotten_is_in_no_file_and_every_total_stays(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with server_process(folder) as server:
        server.start()
        with server.client() as client:
            send_usage(client)
            server.wait_until_applied()
            before = totals(client)
            assert holding(folder, PERSON)
            assert bursar("backup", tmp_path / "backup", "--data", folder).code == 0
            assert holding(tmp_path / "backup", PERSON)
            erased = bursar(
                *("erase-user", PERSON, "--reason", "asked to be forgotten", "--yes", "--json"),
                *("--url", server.url, "--key", ADMIN_KEY),
            )
            assert erased.code == 0, erased.err
            assert erased.json["run"]["result"]["left"] == 0
            assert PERSON not in erased.out
            assert totals(client) == before
            assert by_user(client, PERSON) == 0
        assert holding(folder, PERSON) == [], "also while the server runs"
        assert bursar("backup", tmp_path / "backup", "--data", folder).code == 0
        assert holding(tmp_path / "backup", PERSON) == [], "gone from the backup with its next run"
        recount = server.verify()
        assert recount["is_clean"], recount["differences"]
        server.stop()
        assert holding(folder, PERSON) == []
        assert holding(folder, "somebody-7") != [], "others are where they were"
        server.start()
        with server.client() as client:
            again = client.post("/api/v1/events", json=an_event(0), params={"wait": "applied"}).json()
            assert again["events"][0]["outcome"] == "duplicate"
            assert totals(client) == before
            assert by_user(client, PERSON) == 0
            assert client.get("/api/v1/events/ada-0").json()["user_id"] is None


def an_event(number: int) -> dict[str, Any]:
    """A call of the person, who stands in every field that can lead to one."""
    return {
        "event_id": f"ada-{number}",
        "model": "gpt-4o-mini",
        "input_tokens": 1000 + number,
        "user_id": PERSON,
        "project_id": PROJECT,
        "session_id": f"session of {PERSON}",
        "message": f"no answer for {PERSON}",
        "tags": {"owner": PERSON, "team": "search"},
        "metadata": {"who": {"mail": PERSON}, "note": f"asked by {PERSON} today"},
    }


def send_usage(client: httpx.Client) -> None:
    """Usage of the person and of others; repeats, a conflict and a correction are among it."""
    client.post("/api/v1/projects", json={"id": PROJECT, "name": "Legal"}).raise_for_status()
    others = [
        {
            "event_id": f"other-{n}",
            "model": "gpt-4o-mini",
            "input_tokens": n,
            "user_id": f"somebody-{n % 50}",
        }
        for n in range(OTHERS)
    ]
    for body in (
        others,
        [an_event(n) for n in range(50)],
        [an_event(n) for n in range(10)],
        [{**an_event(0), "input_tokens": 9}],
    ):
        client.post("/api/v1/events", json=body, params={"wait": "applied"}).raise_for_status()
    corrected = {**an_event(1), "input_tokens": 5}
    answer = client.put("/api/v1/events/ada-1", json=corrected, params={"reason": "counted wrongly"})
    answer.raise_for_status()
    client.post(
        "/api/v1/events/void", json={"event_ids": ["ada-2"], "reason": "sent twice"}
    ).raise_for_status()


def totals(client: httpx.Client) -> list[dict[str, Any]]:
    """All there is, from rollups and from single events."""
    questions = (
        {"measures": ["events", "cost", "input_tokens"], "window": "all"},
        {"measures": ["events", "cost"], "dimensions": ["model", "tag:team"], "window": "all"},
    )
    answers = [client.post("/api/v1/query", json=one).raise_for_status().json() for one in questions]
    return [{"totals": one["totals"], "rows": one["rows"]} for one in answers]


def by_user(client: httpx.Client, user_id: str) -> int:
    question = {"measures": ["events"], "filters": {"user_id": user_id}, "window": "all"}
    return client.post("/api/v1/query", json=question).raise_for_status().json()["totals"]["events"]


def holding(folder: Path, text: str) -> list[str]:
    """Every file of the folder that holds these bytes, inflated where it is compressed."""
    return [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and text.encode() in content_of(path)
    ]


def content_of(path: Path) -> bytes:
    if path.suffix == ".zst" or path.read_bytes()[:4] == b"\x28\xb5\x2f\xfd":
        with path.open("rb") as file:
            return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()
    return path.read_bytes()
