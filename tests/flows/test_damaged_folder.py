"""Starting on a folder that a crash, a disk or a person has been at.

It is repaired where nothing is lost by it, refused by name where something would be, and then left
exactly as it was.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from bursar.storage.journal.frame import FrameKind, encode_frame
from bursar.storage.journal.segments import segment_paths
from tests.support.sampled import long
from tests.support.server import ServerProcess, StartRefused, server_process
from tests.support.used_folder import UsedFolder, an_event, stored_costs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LAST_SEQ = 480


@pytest.fixture
def server(used_folder: UsedFolder, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that isn't started yet, on a copy of the used folder."""
    with server_process(used_folder.copy_to(tmp_path / "data")) as process:
        yield process


def said(server: ServerProcess, event: str) -> list[dict[str, Any]]:
    return [line for line in server.log if line["event"].startswith(event)]


def status(server: ServerProcess) -> dict[str, Any]:
    with server.client() as client:
        return client.get("/control/status").raise_for_status().json()


def send(server: ServerProcess, *events: dict[str, Any]) -> list[str]:
    """Send events and return the outcome of each, once applied."""
    with server.client() as client:
        answer = client.post("/api/v1/events", json=list(events), params={"wait": "applied"})
    return [one["outcome"] for one in answer.raise_for_status().json()["events"]]


def last_segment(server: ServerProcess) -> Path:
    return segment_paths(server.folder / "journal")[-1]


def digests(folder: Path) -> dict[str, str]:
    """What is in the files that nothing could be derived from again."""
    kept = [folder / "FORMAT", *sorted((folder / "journal").iterdir())]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


def refusal_of(server: ServerProcess) -> str:
    with pytest.raises(StartRefused) as refusal:
        server.start()
    text = str(refusal.value)
    assert "Traceback" not in text
    return text


TORN = encode_frame(LAST_SEQ + 1, 5000, FrameKind.USAGE, b'{"seq":481,"kind":"usage"}\n' * 5000)
TAILS = {
    "half a frame": TORN[: len(TORN) // 2],
    "a frame without its last byte": TORN[:-1],
    "a header alone": TORN[:57],
    "zeros": b"\0" * 100_000,
    "noise": os.urandom(30_000),
}


@pytest.mark.parametrize("tail", long(TAILS, always=["half a frame", "zeros"]))
def test_a_torn_tail_is_cut_off_and_told_and_nothing_acknowledged_is_lost(
    server: ServerProcess, used_folder: UsedFolder, tail: bytes
) -> None:
    with last_segment(server).open("ab") as file:
        file.write(tail)
    server.start()
    [line] = said(server, "cut a torn tail")
    assert line["cut_bytes"] == len(tail)
    assert line["segment"] == last_segment(server).name
    assert send(server, an_event(1), an_event(1000)) == ["duplicate", "new"]
    # No seq that the torn frame had is given out again, nor after another start.
    assert status(server)["durable_seq"] > LAST_SEQ + 5000
    server.kill()
    server.start()
    assert len(said(server, "cut a torn tail")) == 1
    assert send(server, an_event(1000), an_event(1001)) == ["duplicate", "new"]
    assert stored_costs(server).items() >= used_folder.costs.items()
    recount = server.verify()
    assert recount["is_clean"], recount["differences"]
    assert recount["events"] == LAST_SEQ + 2


def flip_a_bit(server: ServerProcess) -> None:
    path = last_segment(server)
    content = bytearray(path.read_bytes())
    content[content.index(b"~F1 ") + 200] ^= 0x04
    path.write_bytes(content)


def lose_a_segment(server: ServerProcess) -> None:
    segment_paths(server.folder / "journal")[1].unlink()


def lose_the_last_records(server: ServerProcess) -> None:
    path = last_segment(server)
    os.truncate(path, path.read_bytes().rindex(b"~F1 "))


def lose_the_last_segment(server: ServerProcess) -> None:
    last_segment(server).unlink()


def swap_the_journal(server: ServerProcess) -> None:
    for path in (server.folder / "journal").iterdir():
        path.unlink()


def write_a_newer_format(server: ServerProcess) -> None:
    path = server.folder / "FORMAT"
    path.write_bytes(msgspec.json.encode({**msgspec.json.decode(path.read_bytes()), "journal": 99}))


def scribble_over_the_format(server: ServerProcess) -> None:
    (server.folder / "FORMAT").write_bytes(b"version 1")


def scribble_over_the_identity(server: ServerProcess) -> None:
    (server.folder / "journal" / "IDENTITY").write_bytes(b"{")


def scribble_over_the_store(server: ServerProcess) -> None:
    (server.folder / "usage.duckdb.wal").unlink(missing_ok=True)
    (server.folder / "usage.duckdb").write_bytes(b"no database" * 1000)


REFUSED: dict[str, tuple[Callable[[ServerProcess], None], str]] = {
    "a flipped bit before whole frames": (flip_a_bit, "is damaged at byte"),
    "a missing segment": (lose_a_segment, "a segment is missing or belongs to another journal"),
    "records missing that were applied": (lose_the_last_records, "beyond the journal's end"),
    "the last segment missing": (lose_the_last_segment, "beyond the journal's end"),
    "another journal": (swap_the_journal, "The usage store belongs to journal"),
    "a newer format": (write_a_newer_format, "was written by a newer Bursar: journal 99"),
    "a damaged format": (scribble_over_the_format, "FORMAT can't be read"),
    "a damaged identity": (scribble_over_the_identity, "IDENTITY can't be read"),
    "a damaged store": (scribble_over_the_store, "`bursar rebuild` derives it anew from the journal"),
}


@pytest.mark.parametrize(("damage", "words"), REFUSED.values(), ids=REFUSED)
def test_a_folder_that_has_lost_something_is_refused_by_name_and_left_as_it_is(
    server: ServerProcess, damage: Callable[[ServerProcess], None], words: str
) -> None:
    damage(server)
    before = digests(server.folder)
    assert words in refusal_of(server)
    assert digests(server.folder).items() >= before.items()


def delete_the_store(server: ServerProcess) -> None:
    (server.folder / "usage.duckdb").unlink()
    (server.folder / "usage.duckdb.wal").unlink(missing_ok=True)


def delete_the_index(server: ServerProcess) -> None:
    shutil.rmtree(server.folder / "keys.index")


def delete_both(server: ServerProcess) -> None:
    delete_the_store(server)
    delete_the_index(server)
    (server.folder / "keys.state").unlink()


def newest_keys(server: ServerProcess) -> Path:
    return next((server.folder / "keys.index").glob("*.log"))


def corrupt_the_index(server: ServerProcess) -> None:
    path = newest_keys(server)
    path.write_bytes(os.urandom(path.stat().st_size))


def halve_the_index(server: ServerProcess) -> None:
    path = newest_keys(server)
    os.truncate(path, path.stat().st_size // 2)


def restart_the_machine(server: ServerProcess) -> None:
    path = server.folder / "keys.state"
    path.write_bytes(msgspec.json.encode({**msgspec.json.decode(path.read_bytes()), "boot_id": "another"}))


REPAIRED: dict[str, tuple[Callable[[ServerProcess], None], bool]] = {
    "without a store": (delete_the_store, False),
    "without an index": (delete_the_index, True),
    "without either": (delete_both, False),
    "with a corrupt index": (corrupt_the_index, True),
    "with half an index": (halve_the_index, True),
    "with an index of another boot": (restart_the_machine, True),
    "as it was left": (lambda _: None, False),
}


@pytest.mark.parametrize(
    ("damage", "is_told"),
    long(REPAIRED, always=["without either", "with half an index", "with an index of another boot"]),
)
def test_what_derives_from_the_journal_is_made_again_and_repeats_are_still_known(
    server: ServerProcess,
    used_folder: UsedFolder,
    damage: Callable[[ServerProcess], None],
    is_told: bool,  # noqa: FBT001 - a column of a table
) -> None:
    damage(server)
    server.start()
    assert bool(said(server, "rebuilt the key index")) == is_told
    changed = {**an_event(7), "output_tokens": 999_999}
    assert send(server, an_event(3), changed, an_event(1000)) == ["duplicate", "conflict", "new"]
    costs = stored_costs(server)
    assert costs.pop("evt-1000")
    assert costs == used_folder.costs
    recount = server.verify()
    assert recount["is_clean"], recount["differences"]


def test_a_second_server_on_the_same_folder_is_refused_and_disturbs_nothing(
    server: ServerProcess, used_folder: UsedFolder
) -> None:
    server.start()
    second = ServerProcess(server.folder)
    text = refusal_of(second)
    assert "is in use by process" in text
    assert "or choose another folder with --data" in text
    assert stored_costs(server) == used_folder.costs
    assert send(server, an_event(1000)) == ["new"]
    server.kill()
    # The lock died with its holder.
    server.start()
