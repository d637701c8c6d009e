"""Faults of disk, state store, clock and clients, in the short form; the long one is `make chaos`.

Each trial asserts for itself that acknowledged = stored once, that refusals are 503 with `Retry-After`,
that a recount is clean and memory bounded; the line of its table is printed at the end of the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.disks import (
    corrupt_state_store,
    failing_syncs,
    locked_state_store,
    read_only_disk,
    wrong_clock,
)
from tests.chaos.storms import flooding_tenant, overload
from tests.support.sampled import long

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.chaos.trials import Line

SEED = 20_261_121
SHORT_SECONDS = 4.0
FEW_READERS = 4
"""What they ask for is still answered when the rest is over, ten seconds long for twenty of them."""

TRIALS: dict[str, Callable[[Path], Line]] = {
    "failing syncs": lambda folder: failing_syncs(folder, SEED, 2),
    "a read-only folder": lambda folder: read_only_disk(folder, SEED),
    "a locked state store": lambda folder: locked_state_store(folder, SEED),
    "a corrupt state store": lambda folder: corrupt_state_store(folder, SEED),
    "a wrong clock": lambda folder: wrong_clock(folder, SEED),
    "an overload": lambda folder: overload(folder, SHORT_SECONDS, FEW_READERS),
    "a tenant that floods": lambda folder: flooding_tenant(folder, SHORT_SECONDS / 2),
}


IN_EVERY_RUN = ("failing syncs", "a read-only folder", "a locked state store", "a tenant that floods")
"""One of each file that must hold, and one of clients."""


@pytest.mark.parametrize("fault", long({name: name for name in TRIALS}, always=IN_EVERY_RUN))
def test_nothing_acknowledged_is_lost_or_counted_twice_under(
    fault: str, tmp_path: Path, figures: Callable[[str], None]
) -> None:
    figures(TRIALS[fault](tmp_path / "trial").text())
