"""One fault on a server under load: writers go on through it, and afterwards everything is compared.

A `Trial` is a server with its writers; `survive` has them write before, while and after a fault and
returns the line for the table. What must hold is always the same: acknowledged = stored once at the cost
that was answered, 503 with `Retry-After` or nothing at all, verify clean, bounded memory.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.chaos.kills import KillFigures, compare
from tests.support.oracle import ACKNOWLEDGED, UNAVAILABLE, Account, Writer
from tests.support.patience import wait_until
from tests.support.server import ServerProcess, server_process

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path
    from typing import Any

    from tests.support.small_disk import SmallDisk

WRITERS = 4
ANSWERS_OUTSIDE = 40
"""Requests acknowledged before a fault begins, and again after it has ended."""
MEMORY_LIMIT_BYTES = 1_500 * 2**20
"""What a server may hold at any time, whatever happens to it (the promise of the performance page)."""


@dataclass(slots=True)
class Line:
    """What one fault came to."""

    fault: str
    acknowledged: int = 0
    stored: int = 0
    answers: dict[int, int] = field(default_factory=dict[int, int])
    """By status, over the whole trial."""
    memory_mib: int = 0
    note: str = ""

    def text(self) -> str:
        """One line of the table."""
        refused = self.answers.get(UNAVAILABLE, 0)
        taken = sum(self.answers.get(one, 0) for one in ACKNOWLEDGED)
        others = sum(self.answers.values()) - refused - taken
        return (
            f"{self.fault:<58}{self.acknowledged:>9}{self.stored:>9}{taken:>8}{refused:>7}{others:>6}"
            f"{self.memory_mib:>6}  {self.note}"
        )


_HEADS = f"{'acked':>9}{'stored':>9}{'2xx':>8}{'503':>7}{'else':>6}{'MiB':>6}"
HEADING = f"{'fault (verify clean after each)':<58}{_HEADS}"


class Trial:
    """A server, its writers and their logs."""

    def __init__(self, server: ServerProcess, folder: Path, seed: int) -> None:
        self.server = server
        self._diaries = folder / "diaries"
        self._diaries.mkdir(parents=True)
        self.writers = [Writer(f"w{number}", self._diaries, seed) for number in range(WRITERS)]
        self._peak, self._watching = 0, threading.Event()
        self._rounds = 0

    @property
    def acknowledged(self) -> int:
        """Requests acknowledged so far."""
        return sum(writer.acknowledged for writer in self.writers)

    @property
    def account(self) -> Account:
        """What the writers know."""
        return Account.of(self._diaries)

    def write(self) -> None:
        """Have the writers go on."""
        self._rounds += 1
        for writer in self.writers:
            writer.resume(self.server.url, self._rounds)

    def wait_for_answers(self, count: int = ANSWERS_OUTSIDE) -> None:
        """Return once so many more requests are acknowledged."""
        enough = self.acknowledged + count
        wait_until(lambda: self.acknowledged >= enough, "the writers get answers")

    def wait_for_refusals(self, count: int) -> None:
        """Return once so many more requests were answered with 503."""
        enough = self.account.unavailable + count
        wait_until(lambda: self.account.unavailable >= enough, "the writers are refused")

    def rest(self) -> None:
        """Have the writers stop."""
        for writer in self.writers:
            writer.rest()

    def watch_memory(self) -> None:
        """Sample the server's memory, in a thread, until the trial ends."""
        while not self._watching.wait(0.2):
            self._peak = max(self._peak, self.server.memory_bytes)

    def finish(self, fault: str, note: str = "") -> Line:
        """Stop writing, compare, and return the line of the table."""
        self.rest()
        figures = KillFigures()
        account = self.account
        compare(self.server, account, figures)
        assert self._peak < MEMORY_LIMIT_BYTES
        answers = dict(account.answers)
        return Line(fault, figures.acknowledged, figures.stored, answers, self._peak // 2**20, note)

    def leave(self) -> None:
        """End the writers and the watching."""
        self._watching.set()
        for writer in self.writers:
            writer.leave()


@contextmanager
def trial(
    folder: Path,
    seed: int,
    faults: tuple[Callable[[], None], ...] = (),
    disk: SmallDisk | None = None,
    **settings: Any,  # noqa: ANN401 - settings' own types
) -> Generator[Trial]:
    """A started server with writers at work."""
    data = (disk.mount_point if disk else folder) / "data"
    with server_process(data, disk, **settings) as server:
        made = Trial(server, folder, seed)
        server.start(*faults)
        for writer in made.writers:
            writer.start()
        threading.Thread(target=made.watch_memory, daemon=True).start()
        try:
            made.write()
            made.wait_for_answers()
            yield made
        finally:
            server.kill()
            made.leave()
