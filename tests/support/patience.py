"""Waiting in tests: for something to become true, with a deadline, and never for time to pass."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE_SECONDS = 120.0
"""Far above what anything takes, on a busy machine too; only a hang reaches it."""
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.02, 0.2
PAUSED_SHARE = 0.1
"""A pause is this share of what was waited so far: most questions cost a request, which takes the processor
from what is waited for."""


def wait_until(is_so: Callable[[], bool], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Return as soon as it is so.

    Raises:
        TimeoutError: it never became so.
    """
    since = time.monotonic()
    while not is_so():
        waited = time.monotonic() - since
        if waited > seconds:
            message = f"Not within {seconds:.0f} s: {what}."
            raise TimeoutError(message)
        time.sleep(min(max(waited * PAUSED_SHARE, PAUSE_SECONDS), LONGEST_PAUSE_SECONDS))
