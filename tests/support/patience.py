"""Waiting in tests: for something to become true, with a deadline, and never for time to pass."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE_SECONDS = 120.0
"""Far above what anything takes, on a busy machine too; only a hang reaches it."""
PAUSE_SECONDS = 0.02


def wait_until(is_so: Callable[[], bool], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Return as soon as it is so.

    Raises:
        TimeoutError: it never became so.
    """
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            message = f"Not within {seconds:.0f} s: {what}."
            raise TimeoutError(message)
        time.sleep(PAUSE_SECONDS)
