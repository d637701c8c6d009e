"""Faults that a server process is started with, and that the test turns on and off by files.

Each function here is called in the child before it serves. Nothing of the product knows of them.
"""

from __future__ import annotations

import errno
import os
import random
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from bursar import clock
from tests.support.aim import replace

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


class Switch:
    """A fault that is on while its file is there; what is in the file says how it is."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on(self, content: str = "") -> None:
        """Begin."""
        self.path.write_text(content)

    def off(self) -> None:
        """End."""
        self.path.unlink(missing_ok=True)


def fail_syncs(switch: Path, share: float) -> None:
    """While the switch is on, so many of the `fdatasync` calls fail as a dying disk has them fail."""
    real, chance = os.fdatasync, random.Random(1)

    def failing(descriptor: int) -> None:
        if switch.exists() and chance.random() < share:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    os.fdatasync = failing


def slow_syncs(seconds: float) -> None:
    """Every `fdatasync` takes this much longer, as on a disk that others keep busy."""
    real = os.fdatasync

    def slow(descriptor: int) -> None:
        time.sleep(seconds)
        real(descriptor)

    os.fdatasync = slow


def shift_clock(switch: Path) -> None:
    """While the switch is on, the process sees the wall clock that many seconds away; time goes on evenly."""
    real = clock.now

    def shifted() -> datetime:
        try:
            seconds = int(switch.read_text() or 0)
        except FileNotFoundError:
            seconds = 0
        return real() + timedelta(seconds=seconds)

    replace("bursar.clock:now", shifted)
