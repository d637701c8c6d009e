"""What a run of benchmarks is asked for, and how a scenario says what it is at.

Progress goes to standard error, so that standard output holds nothing but the table (`report.py`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

SCRATCH = Path.home() / ".cache/bursar-bench"
"""Where filled folders and peers are kept between runs, unless another place is named."""


@dataclass(frozen=True, slots=True)
class Options:
    """How often, how much, where."""

    runs: int = 5
    """Of which the median counts."""
    events: int | None = None
    """Instead of the number that a scenario's targets are about."""
    seconds: float = 130.0
    """For scenarios that last a time: over two minutes, so that checkpoints and compaction happen."""
    asks: int = 200
    """How often each question is asked."""
    folder: Path | None = None
    """A filled data folder to use instead of a new one; it is kept, and grows by what is sent."""
    scratch: Path = SCRATCH
    """For what is kept between runs."""

    def count(self, full: int) -> int:
        """How many events: as asked for, or the full number."""
        return full if self.events is None else self.events


def say(text: str) -> None:
    """A line about what is going on."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
