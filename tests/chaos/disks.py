"""Faults of the disk, the state store and the clock, each under load."""

from __future__ import annotations

import contextlib
import sqlite3
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.chaos.trials import Line, trial
from tests.support.aim import replace
from tests.support.faults import Switch, fail_syncs, shift_clock
from tests.support.patience import DEADLINE_SECONDS, wait_until
from tests.support.server import ServerProcess, StartRefused
from tests.support.small_disk import small_disk

if TYPE_CHECKING:
    from pathlib import Path

MIB = 2**20
DISK_BYTES = 160 * MIB
COMPACTING = {
    "bursar.app.applier:TIDY_AGAIN_SECONDS": 0.2,
    "bursar.storage.duckdb.compaction:WORTH_COMPACTING_ROWS": 1,
}
HOUR, DAY = 3600, 86_400


def full_disk(folder: Path, seed: int, *, reserve: int, times: int) -> Line:
    """A disk that fills up, several times: with a reserve the door closes early, without one all meet it."""
    folder.mkdir(parents=True, exist_ok=True)
    constants = [partial(replace, place, value) for place, value in COMPACTING.items()]
    with (
        small_disk(folder / "disk", DISK_BYTES) as disk,
        trial(
            folder, seed, tuple(constants), disk, min_free_disk_bytes=reserve, segment_bytes=256 * 1024
        ) as under,
    ):
        for time in range(times):
            disk.leave_only(reserve + (times - time) * 40_000 if not reserve else reserve - MIB)
            under.wait_for_refusals(10)
            disk.make_room()
            wait_until(lambda: is_ready(under.server), "the server is ready again")
            under.wait_for_answers()
        words = f"with {reserve // MIB} MiB kept free" if reserve else "to the last byte, while compacting"
        return under.finish(f"disk full {words}, {times} times")


def failing_syncs(folder: Path, seed: int, times: int) -> Line:
    """`fdatasync` fails for a while: its waiters are refused, the segment is left, the next one begun."""
    folder.mkdir(parents=True, exist_ok=True)
    switch = Switch(folder / "failing")
    with trial(folder, seed, (partial(fail_syncs, switch.path, 0.3),)) as under:
        for _ in range(times):
            switch.on()
            under.wait_for_refusals(5)
            switch.off()
            under.wait_for_answers()
        line = under.finish(f"3 of 10 fdatasyncs fail, {times} times")
        under.server.kill()
        under.server.start()
        return line


def read_only_disk(folder: Path, seed: int) -> Line:
    """The folder can't be written when the server starts: refused by name, and fine once it can be."""
    folder.mkdir(parents=True, exist_ok=True)
    with small_disk(folder / "disk", DISK_BYTES) as disk, trial(folder, seed, (), disk) as under:
        under.rest()
        assert under.server.stop() == 0
        disk.freeze()
        said = refusal_of(under.server)
        disk.thaw()
        under.server.start()
        under.write()
        under.wait_for_answers()
        return under.finish("folder read-only at the start", note=f"refused: {said}")


def locked_state_store(folder: Path, seed: int) -> Line:
    """Another process holds the state store's write lock; events of known prices are taken all the same."""
    folder.mkdir(parents=True, exist_ok=True)
    with trial(folder, seed) as under:
        with contextlib.closing(
            sqlite3.connect(under.server.folder / "state.db", timeout=DEADLINE_SECONDS)
        ) as intruder:
            intruder.execute("BEGIN IMMEDIATE")
            under.wait_for_answers()
            intruder.rollback()
        under.wait_for_answers()
        return under.finish("state store locked by another process")


def corrupt_state_store(folder: Path, seed: int) -> Line:
    """The state store is overwritten while nothing runs: the start is refused by name, nothing touched."""
    folder.mkdir(parents=True, exist_ok=True)
    with trial(folder, seed) as under:
        under.rest()
        assert under.server.stop() == 0
        path = under.server.folder / "state.db"
        content = path.read_bytes()
        path.write_bytes(b"no database at all" * 1000)
        said = refusal_of(under.server)
        path.write_bytes(content)
        under.server.start()
        under.write()
        under.wait_for_answers()
        return under.finish("state store overwritten", note=f"refused: {said}")


def wrong_clock(folder: Path, seed: int) -> Line:
    """The clock goes back by an hour and forward by a day under load, across a kill too."""
    folder.mkdir(parents=True, exist_ok=True)
    switch = Switch(folder / "clock")
    fault = partial(shift_clock, switch.path)
    with trial(folder, seed, (fault,)) as under:
        for seconds in (-HOUR, DAY, 0):
            switch.on(str(seconds))
            under.wait_for_answers()
        switch.on(str(-HOUR))
        under.server.kill()
        for writer in under.writers:
            writer.wait_until_paused()
        under.server.start(fault)
        under.write()
        under.wait_for_answers()
        switch.off()
        under.wait_for_answers()
        return under.finish("clock back by an hour, forward by a day")


def refusal_of(server: ServerProcess) -> str:
    """What the server says when it doesn't start: one clear line, never a traceback."""
    with pytest.raises(StartRefused) as refusal:
        server.start()
    text = str(refusal.value).strip()
    assert "Traceback" not in text, text
    return text.splitlines()[-1][:90]


def is_ready(server: ServerProcess) -> bool:
    """Whether `/ready` says so."""
    with server.client() as client:
        return client.get("/ready").is_success
