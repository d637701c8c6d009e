"""Rebuilds under load, left alone and killed: nothing lost or twice, one store that counts, no leftovers."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from bursar.app.operator_socket import address_of
from bursar.cli.offline import rebuild_folder
from bursar.settings import load_settings
from tests.chaos.kills import KillFigures, compare
from tests.flows.test_rebuild import derived_files
from tests.support.aim import Aim, take_aim
from tests.support.child import Child
from tests.support.oracle import Account, Writer
from tests.support.patience import wait_until
from tests.support.sampled import kills
from tests.support.server import ServerProcess, StartKilled, server_process

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

WRITERS = 4
SEED = 20_261
PRELOAD_ANSWERS = 60
REBUILDS = 2
_REBUILDING = "bursar.app.rebuilding"
_FILES = "bursar.storage.store_files"

MOMENTS = (
    Aim("the new store is open and empty", f"{_REBUILDING}:open_derived", "after", up_to_call=1),
    Aim("a part of the journal is applied", f"{_REBUILDING}:apply_journal", "after", up_to_call=1),
    Aim("the last records are applied", f"{_REBUILDING}:_make_current", "before", up_to_call=1),
    Aim("the names of the new files are durable", f"{_FILES}:sync_folder", "after", up_to_call=1),
    Aim("the new ones count", f"{_FILES}:write_durably", "after", up_to_call=1),
    Aim("the applier still has the old store", "bursar.app.applier:Applier.write_to", "before", up_to_call=1),
    Aim("the applier has the new store", "bursar.app.applier:Applier.write_to", "after", up_to_call=1),
    Aim("the old files are still there", f"{_FILES}:StoreFiles.remove", "before", up_to_call=1),
    Aim("one old file is gone", f"{_FILES}:_delete", "after", up_to_call=1),
    Aim("two old files are gone", f"{_FILES}:_delete", "after", up_to_call=1),
    Aim("the old files are gone", f"{_FILES}:StoreFiles.remove", "after", up_to_call=1),
)
CALLS = {"two old files are gone": 2}


class Load:
    """Writers on a server process."""

    def __init__(self, folder: Path, server: ServerProcess) -> None:
        self._diaries = folder / "diaries"
        self._diaries.mkdir()
        self.server = server
        self.writers = [Writer(f"w{number}", self._diaries, SEED) for number in range(WRITERS)]
        self._cycle = 0

    @property
    def answers(self) -> int:
        return sum(writer.acknowledged for writer in self.writers)

    def resume(self) -> None:
        """Let the writers write, and return once they have got some answers."""
        before, self._cycle = self.answers, self._cycle + 1
        for writer in self.writers:
            writer.resume(self.server.url, self._cycle)
        wait_until(lambda: self.answers >= before + PRELOAD_ANSWERS, "the writers get answers")

    def settle(self) -> KillFigures:
        """End the server under load, start it again and hold it against the writers' logs."""
        self.server.kill()
        for writer in self.writers:
            writer.wait_until_paused()
        self.server.start()
        figures = KillFigures()
        compare(self.server, Account.of(self._diaries), figures)
        return figures


@contextmanager
def under_load(folder: Path) -> Generator[Load]:
    with server_process(folder / "data", segment_bytes=256 * 1024) as server:
        load = Load(folder, server)
        for writer in load.writers:
            writer.start()
        try:
            yield load
        finally:
            server.kill()
            for writer in load.writers:
                writer.leave()


def ask_for_rebuild(server: ServerProcess) -> dict[str, Any]:
    """Its last line."""
    by_socket = httpx.HTTPTransport(uds=address_of(server.folder / "bursar.sock"))
    with httpx.Client(base_url="http://bursar.socket", transport=by_socket, timeout=60) as operator:
        answer = operator.post("/control/rebuild").raise_for_status()
    return json.loads(answer.text.splitlines()[-1])


@pytest.mark.timeout(180)
def test_rebuilds_under_load_lose_nothing_and_count_nothing_twice(
    tmp_path: Path, figures: Callable[[str], None]
) -> None:
    with under_load(tmp_path) as load:
        load.server.start()
        held: list[float] = []
        for _ in range(REBUILDS):
            load.resume()
            held.append(ask_for_rebuild(load.server)["result"]["held_seconds"])
        found = load.settle()
        assert found.stored >= found.acknowledged > 0
        number = REBUILDS + 1
        names = ["CURRENT", f"keys-{number}.index", f"keys-{number}.state", f"usage-{number}.duckdb"]
        assert derived_files(load.server.folder) == names
    figures(f"{found.acknowledged} events acknowledged; applier held for {[f'{one:.3f}' for one in held]} s")


@pytest.mark.kills
@pytest.mark.timeout(300)
def test_a_kill_at_any_moment_of_a_rebuild_leaves_one_whole_store(tmp_path: Path) -> None:
    with under_load(tmp_path) as load:
        server = load.server
        for moment in MOMENTS:
            server.start()
            load.resume()
            server.kill()
            _start_with(server, moment)
            load.resume()
            threading.Thread(target=_ask_in_vain, args=(server,)).start()
            wait_until(lambda: server.was_killed, moment.name)
            load.settle()
            _assert_one_store(server.folder)
            server.kill()


def _start_with(server: ServerProcess, moment: Aim) -> None:
    # Starting takes none of the aimed steps, but for the index's note, which is another's function.
    server.start(partial(take_aim, moment, CALLS.get(moment.name, 1)))


def _ask_in_vain(server: ServerProcess) -> None:
    with suppress(httpx.TransportError):
        ask_for_rebuild(server)


def _assert_one_store(folder: Path) -> None:
    names = derived_files(folder)
    assert len([name for name in names if name != "CURRENT"]) == 3, names


OFFLINE_MOMENTS = (
    Aim(
        "everything is applied, nothing swapped",
        "bursar.app.usage_stores:make_current",
        "before",
        up_to_call=1,
    ),
    Aim("the new ones count", "bursar.app.usage_stores:make_current", "after", up_to_call=1),
    Aim("one old file is gone", f"{_FILES}:_delete", "after", up_to_call=1),
)


@pytest.mark.parametrize(
    "moment", kills({one.name: one for one in OFFLINE_MOMENTS}, always=["the new ones count"])
)
def test_a_kill_of_an_offline_rebuild_leaves_one_whole_store_too(tmp_path: Path, moment: Aim) -> None:
    with under_load(tmp_path) as load:
        load.server.start()
        load.resume()
        load.server.kill()
        child = Child(tmp_path / "out", tmp_path / "err").start(_rebuild_and_die, load.server.folder, moment)
        child.join(60)
        assert child.exitcode == -9
        load.server.start()
        load.resume()
        load.settle()
        _assert_one_store(load.server.folder)


@pytest.mark.kills
@pytest.mark.parametrize("call", [1, 3], ids=["the first", "the third"])
def test_a_kill_while_leftovers_are_removed_is_made_up_for_by_the_next_start(
    tmp_path: Path, call: int
) -> None:
    with under_load(tmp_path) as load:
        load.server.start()
        load.resume()
        load.server.kill()
        swapped = OFFLINE_MOMENTS[1]
        child = Child(tmp_path / "out", tmp_path / "err").start(_rebuild_and_die, load.server.folder, swapped)
        child.join(60)
        removal = Aim("leftovers are removed", f"{_FILES}:_delete", "after")
        with pytest.raises(StartKilled):
            load.server.start(partial(take_aim, removal, call))
        load.settle()
        _assert_one_store(load.server.folder)


def _rebuild_and_die(folder: Path, moment: Aim) -> None:
    take_aim(moment, 1)
    rebuild_folder(load_settings({}, data_dir=folder), lambda _step, _records: None)
