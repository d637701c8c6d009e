"""What a runner goes by, which differs between processes, and what it says of itself.

`runner.py` works by these options; `app/jobs.py` chooses them, and `app/scheduler_api.py` shows the state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar import clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bursar.scheduling.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerOptions:
    """What differs between processes."""

    place: str
    """Where at most one process can be, such as a locked data folder; see `lease.py`."""
    keeps_time: bool = True
    """False: jobs run only when somebody asks."""
    now: Callable[[], datetime] = clock.now
    monotonic: Callable[[], float] = clock.monotonic


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerState:
    """How the runner of this process is."""

    is_started: bool
    holds_lease: bool
    held_elsewhere: str | None
    """The place of the process that holds the lease instead."""
    keeps_time: bool
    at_work: tuple[Run, ...]
    stuck: tuple[Run, ...]
    """Runs that were told to stop and don't."""
    failing: str | None
    """The last error of the runner itself, while it tries again."""
