"""`kill -9` and power cuts under load, at random and at aimed moments: what was acknowledged is there once.

Eight writers keep their own durable logs (`tests/support/oracle.py`). The server is killed, sometimes
killed again while it starts, and then compared with the logs: every acknowledged event at the cost that
was answered, none twice, none that nobody sent, everything tied out. A round of cycles has a folder of
its own, so that a comparison stays quick.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.chaos.chores import doing, finish_expiries
from tests.support.aim import Aim, take_aim
from tests.support.oracle import Account, Writer
from tests.support.patience import wait_until
from tests.support.power import cut_power, pretend_boot, record_syncs
from tests.support.server import ServerProcess, StartKilled, server_process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

WRITERS = 8
STARTS_KILLED = 0.3
"""So often a start is killed too, at a moment within its usual length."""
START_SECONDS = 0.6
CYCLES_PER_ROUND = 25
AIM_SECONDS = 20.0
"""An aimed moment that has not come by then is given up, and the server is killed all the same."""
PAGE = 10_000
ALWAYS = "1970-01-01/2200-01-01"
"""`all` ends tomorrow, and a clock may have been further ahead."""


@dataclass(slots=True)
class KillFigures:
    """What was found over all cycles."""

    cycles: int = 0
    sent: int = 0
    acknowledged: int = 0
    stored: int = 0
    unacknowledged_but_stored: int = 0
    """Durable when the server died, but nobody had been told."""
    repeated: int = 0
    """Deliveries in the journal that were not the first of their event."""
    answers: Counter[int] = field(default_factory=Counter[int])
    starts_killed: int = 0
    aimed: int = 0
    """Kills that came at the aimed call."""

    def add(self, other: KillFigures) -> None:
        """Count another round in."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True)
class Cycles:
    """What to do how often."""

    count: int
    seed: int
    aims: Sequence[Aim] = ()
    """Each in turn; without any, kills come at random moments."""
    with_power_cuts: bool = False
    """The folder is left as a power cut leaves it, not only as a kill does."""


class Machine:
    """What happens to one folder's processes beside what they are asked: boots, aims, power cuts."""

    def __init__(self, server: ServerProcess, seed: str, *, with_power_cuts: bool) -> None:
        self.server, self.chance = server, random.Random(seed)
        self._notes = server.folder.with_name("synced") if with_power_cuts else None
        self._boot = 1

    def faults(self, aim: Aim | None = None) -> list[Callable[[], None]]:
        """What a process is started with."""
        found: list[Callable[[], None]] = []
        if self._notes is not None:
            found += [
                partial(record_syncs, self.server.folder, self._notes),
                partial(pretend_boot, self._boot),
            ]
        if aim is not None:
            found.append(partial(take_aim, aim, self.chance.randint(1, aim.up_to_call)))
        return found

    def die(self) -> None:
        """Kill the process, if it still lives, and cut the power, if this machine has power cuts."""
        self.server.kill()
        if self._notes is not None:
            cut_power(self.server.folder, self._notes, self.chance)
            self._boot += 1


def kill_and_compare(folder: Path, cycles: Cycles, told: Callable[[str], None] = print) -> KillFigures:
    """Load, kill, start again and compare, many times over."""
    in_all = KillFigures()
    for number in range(0, cycles.count, CYCLES_PER_ROUND):
        count = min(CYCLES_PER_ROUND, cycles.count - number)
        aims = [cycles.aims[(number + i) % len(cycles.aims)] if cycles.aims else None for i in range(count)]
        in_all.add(_round(folder / f"round-{number}", aims, cycles))
        told(f"  {in_all.cycles} of {cycles.count}: {in_all.acknowledged} acknowledged, none lost or twice")
    return in_all


def _round(folder: Path, aims: Sequence[Aim | None], cycles: Cycles) -> KillFigures:
    """Some cycles on one folder."""
    diaries = folder / "diaries"
    diaries.mkdir(parents=True)
    seed = f"{cycles.seed}/{folder.name}"
    writers = [Writer(f"w{number}", diaries, seed) for number in range(WRITERS)]
    figures = KillFigures()
    # Small segments, so that kills also hit the moments when one follows another.
    backups = folder / "backups"
    with server_process(folder / "data", segment_bytes=256 * 1024, backup_dir=backups) as server:
        machine = Machine(server, seed, with_power_cuts=cycles.with_power_cuts)
        for writer in writers:
            writer.start()
        try:
            for number, aim in enumerate(aims, 1):
                figures.aimed += load_and_kill(machine, writers, number, aim)
                figures.starts_killed += kill_a_start(machine)
                server.start(*machine.faults())
                finish_expiries(server)
                compare(server, Account.of(diaries), figures)
                server.kill()
        finally:
            server.kill()
            for writer in writers:
                writer.leave()
    return figures


def load_and_kill(machine: Machine, writers: list[Writer], number: int, aim: Aim | None) -> bool:
    """Start the server and let it die under load; whether it died at the aimed moment."""
    server = machine.server
    try:
        server.start(*machine.faults(aim))
    except StartKilled:
        # The moment came before it was ready.
        assert aim is not None, server.log[-1:]
        machine.die()
        return True
    is_hit = _let_it_die(server, writers, number, aim or machine.chance.randint(15, 80))
    machine.die()
    for writer in writers:
        writer.wait_until_paused()
    return is_hit


def _let_it_die(server: ServerProcess, writers: list[Writer], number: int, when: Aim | int) -> bool:
    """Write until the server has ended by its aim, or has given so many answers more."""
    before = sum(writer.acknowledged for writer in writers)
    for writer in writers:
        writer.resume(server.url, number)
    if isinstance(when, int):
        wait_until(
            lambda: sum(writer.acknowledged for writer in writers) >= before + when, "the writers get answers"
        )
        return False
    with suppress(TimeoutError), doing(server, when.chore):
        wait_until(lambda: server.was_killed, when.name, AIM_SECONDS)
    return server.was_killed


def kill_a_start(machine: Machine) -> int:
    """Now and then start the server and kill it at once: in its recovery, most often."""
    if machine.chance.random() > STARTS_KILLED:
        return 0
    moment = time.monotonic() + machine.chance.random() * START_SECONDS
    machine.server.spawn(*machine.faults())
    wait_until(lambda: time.monotonic() >= moment, "the moment has come")
    machine.die()
    return 1


def compare(server: ServerProcess, account: Account, figures: KillFigures) -> None:
    """Hold what the server has against what the writers know."""
    server.wait_until_applied()
    recount = server.verify()
    events, in_all = listed_events(server)
    times_stored = Counter(event["tags"]["mark"] for event in events)
    costs = {event["tags"]["mark"]: shown(event["cost"]) for event in events}
    lost = account.costs.keys() - times_stored.keys()
    twice = [mark for mark, times in times_stored.items() if times > 1]
    recosted = [mark for mark, cost in account.costs.items() if mark in costs and costs[mark] != shown(cost)]
    assert (lost, twice, recosted) == (set(), [], []), (lost, twice, recosted)
    assert times_stored.keys() <= account.sent
    assert (account.refused, account.without_retry_after) == (0, 0)
    assert recount["is_clean"], recount["differences"]
    assert recount["events"] == len(events) == in_all == events_in_rollups(server)
    figures.cycles += 1
    figures.sent = len(account.sent)
    figures.acknowledged = len(account.costs)
    figures.stored = len(events)
    figures.unacknowledged_but_stored = len(times_stored.keys() - account.costs.keys())
    figures.repeated = recount["journal_events"] - recount["events"]
    figures.answers = account.answers


def listed_events(server: ServerProcess) -> tuple[list[dict[str, Any]], int]:
    """Every event by its row, and how many there are as counted by the store."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    with server.client() as client:
        while True:
            page = client.get("/api/v1/usage", params={"window": ALWAYS, "limit": PAGE, **cursor})
            document = page.raise_for_status().json()
            found += document["events"]
            if not document["has_more"]:
                return found, document["total_count"]
            cursor = {"cursor": document["next_cursor"]}


def events_in_rollups(server: ServerProcess) -> int:
    """How many events there are by the rollups alone."""
    with server.client() as client:
        question = {"measures": ["events"], "window": ALWAYS, "explain": True}
        answer = client.post("/api/v1/query", json=question).raise_for_status().json()
    return int(answer["totals"]["events"])


def shown(cost: dict[str, Any]) -> tuple[str, str, str | None]:
    """What the two forms of a cost have in common."""
    return cost["status"], cost["currency"], cost.get("total")
