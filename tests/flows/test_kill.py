"""`kill -9` and power cuts under load at random moments: a few by `make test`, some more by `make kills`.

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
from tests.support.sampled import kills

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(2**32)))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("times", kills({"1": 1, "10": 10}, always=["1"]))
def test_no_acknowledged_event_is_lost_or_counted_twice_over_kills(
    tmp_path: Path, figures: Callable[[str], None], seed: int, times: int
) -> None:
    figures(f"KILL_SEED={seed}")
    figures(str(asdict(kill_and_compare(tmp_path, Cycles(times, seed)))))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("times", kills({"2": 2, "8": 8}, always=["2"]))
def test_nor_when_the_power_is_cut(
    tmp_path: Path, figures: Callable[[str], None], seed: int, times: int
) -> None:
    figures(f"KILL_SEED={seed}")
    figures(str(asdict(kill_and_compare(tmp_path, Cycles(times, seed, with_power_cuts=True)))))
