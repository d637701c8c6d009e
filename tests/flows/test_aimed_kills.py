"""`kill -9` between two durable steps that must agree: every aimed moment once, by `make test` some of them.

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
from tests.support.sampled import kills

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.support.aim import Aim

LIFECYCLE = ("backup", "expiry", "erasure")
SOME = ("a group is written, not yet synced", "rollups are replaced, not committed")
"""Between journal and answer, and between rows and rollups. Others are between journal and store, segments
and archive; backups, erasures and rebuilds are killed in files of their own."""
KINDS = {
    "some of each": [aim for aim in AIMS if aim.name in SOME],
    "of ingest": [aim for aim in AIMS if aim.chore is None],
    "of upkeep": [aim for aim in AIMS if aim.chore is not None and aim.chore not in LIFECYCLE],
    "of lifecycle": [aim for aim in AIMS if aim.chore in LIFECYCLE],
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("aims", kills(KINDS, always=["some of each"]))
def test_nothing_is_lost_or_counted_twice_when_the_kill_comes_between_steps(
    tmp_path: Path, figures: Callable[[str], None], aims: Sequence[Aim]
) -> None:
    seed = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(2**32)))
    figures(f"KILL_SEED={seed}")
    found = kill_and_compare(tmp_path, Cycles(len(aims), seed, aims))
    figures(str(asdict(found)))
    assert found.aimed >= len(aims) * 3 // 4
