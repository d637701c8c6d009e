"""`kill -9` between two durable steps that must agree, in the short form: every aimed moment once.

The long form is `make chaos`. A failing run can be repeated with its seed, as far as threads can be.
"""

from __future__ import annotations

import os
import random
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from tests.chaos.aims import AIMS
from tests.chaos.kills import Cycles, kill_and_compare

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.support.aim import Aim

LIFECYCLE = ("backup", "expiry", "erasure")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "aims",
    [
        pytest.param([aim for aim in AIMS if aim.chore is None], id="of ingest"),
        pytest.param(
            [aim for aim in AIMS if aim.chore is not None and aim.chore not in LIFECYCLE],
            id="of upkeep",
            marks=pytest.mark.kills,
        ),
        pytest.param(
            [aim for aim in AIMS if aim.chore in LIFECYCLE], id="of lifecycle", marks=pytest.mark.kills
        ),
    ],
)
def test_nothing_is_lost_or_counted_twice_when_the_kill_comes_between_steps(
    tmp_path: Path, figures: Callable[[str], None], aims: Sequence[Aim]
) -> None:
    seed = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(2**32)))
    found = kill_and_compare(tmp_path, Cycles(len(aims), seed, aims))
    assert found.aimed >= len(aims) * 3 // 4
    figures(f"KILL_SEED={seed} {asdict(found)}")
