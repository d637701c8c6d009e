"""`kill -9` and power cuts under load, in the short form: some at random moments.

Aimed ones are in `test_aimed_kills.py`, the long form is `make chaos`. A failing run can be repeated with its
seed, as far as threads can be.
"""

from __future__ import annotations

import os
import random
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from tests.chaos.kills import Cycles, kill_and_compare

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(2**32)))


@pytest.mark.timeout(300)
def test_no_acknowledged_event_is_lost_or_counted_twice_over_10_kills(
    tmp_path: Path, figures: Callable[[str], None], seed: int
) -> None:
    found = kill_and_compare(tmp_path, Cycles(10, seed))
    figures(f"KILL_SEED={seed} {asdict(found)}")


@pytest.mark.timeout(300)
def test_nor_when_the_power_is_cut(tmp_path: Path, figures: Callable[[str], None], seed: int) -> None:
    found = kill_and_compare(tmp_path, Cycles(8, seed, with_power_cuts=True))
    figures(f"KILL_SEED={seed} {asdict(found)}")
