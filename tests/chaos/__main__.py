"""`make chaos`: every fault, many times, and one table of what was found. Takes about an hour.

    python -m tests.chaos                 everything
    python -m tests.chaos --only power    one kind
    python -m tests.chaos --share 0.1     a tenth of the cycles

Exits with 1 if anything acknowledged was lost, counted twice or wrongly answered.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos.aims import AIMS
from tests.chaos.disks import (
    corrupt_state_store,
    failing_syncs,
    full_disk,
    locked_state_store,
    read_only_disk,
    wrong_clock,
)
from tests.chaos.kills import Cycles, KillFigures, kill_and_compare
from tests.chaos.storms import Storm, duplicate_storm, flooding_tenant, overload
from tests.chaos.trials import HEADING, Line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Fault = Callable[[Path, int, float], Line]

RANDOM_KILLS, AIMED_KILLS, POWER_CUTS = 300, 200, 150


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for and print the table."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--only", choices=FAULTS, action="append", help="this kind only; may be repeated")
    parser.add_argument("--share", type=float, default=1.0, help="share of the cycles (default: 1)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    asked = parser.parse_args(arguments)
    say(f"seed {asked.seed}")
    lines: list[str] = []
    failed = 0
    with tempfile.TemporaryDirectory(prefix="bursar-chaos-") as folder:
        for name in asked.only or FAULTS:
            say(f"{name} ...")
            started = time.monotonic()
            try:
                text = FAULTS[name](Path(folder) / name, asked.seed, asked.share).text()
            except Exception as error:  # noqa: BLE001 - the others are still worth running
                traceback.print_exc()
                failed += 1
                text = f"{name}: FAILED: {type(error).__name__}: {str(error)[:200]}"
            lines.append(f"{text}  [{time.monotonic() - started:.0f} s]")
    say(HEADING)
    for line in lines:
        say(line)
    return 1 if failed else 0


def kills(folder: Path, seed: int, share: float) -> Line:
    """SIGKILL at random moments."""
    found = kill_and_compare(folder, Cycles(_some(RANDOM_KILLS, share), seed), say)
    return _line(f"SIGKILL at random moments, {found.cycles} times", found)


def aimed(folder: Path, seed: int, share: float) -> Line:
    """SIGKILL between two steps that must agree."""
    cycles = Cycles(max(_some(AIMED_KILLS, share), len(AIMS)), seed, AIMS)
    found = kill_and_compare(folder, cycles, say)
    return _line(f"SIGKILL at {len(AIMS)} aimed moments, {found.cycles} times ({found.aimed} hit)", found)


def power(folder: Path, seed: int, share: float) -> Line:
    """Power cuts."""
    cycles = Cycles(_some(POWER_CUTS, share), seed, AIMS, with_power_cuts=True)
    found = kill_and_compare(folder, cycles, say)
    return _line(f"power cut at random and aimed moments, {found.cycles} times", found)


def _line(fault: str, found: KillFigures) -> Line:
    note = (
        f"{found.starts_killed} starts killed; {found.unacknowledged_but_stored} stored unanswered,"
        f" {found.repeated} repeats in the journal"
    )
    return Line(fault, found.acknowledged, found.stored, dict(found.answers), 0, note)


def _some(count: int, share: float) -> int:
    return max(1, round(count * share))


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


FAULTS: dict[str, Fault] = {
    "kills": kills,
    "aimed": aimed,
    "power": power,
    "disk-reserve": lambda folder, seed, share: full_disk(
        folder, seed, reserve=24 * 2**20, times=_some(10, share)
    ),
    "disk-full": lambda folder, seed, share: full_disk(folder, seed, reserve=0, times=_some(10, share)),
    "syncs": lambda folder, seed, share: failing_syncs(folder, seed, _some(30, share)),
    "read-only": lambda folder, seed, _: read_only_disk(folder, seed),
    "state-locked": lambda folder, seed, _: locked_state_store(folder, seed),
    "state-corrupt": lambda folder, seed, _: corrupt_state_store(folder, seed),
    "clock": lambda folder, seed, _: wrong_clock(folder, seed),
    "storm": lambda folder, seed, share: duplicate_storm(
        folder, seed, Storm(1000, max(64, _some(1000, share)), 64)
    ),
    "overload": lambda folder, _, share: overload(folder, 60 * share),
    "flood": lambda folder, _, share: flooding_tenant(folder, 60 * share),
}

if __name__ == "__main__":
    raise SystemExit(main())
