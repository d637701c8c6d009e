"""What a run of benchmarks is asked for, and how a scenario prints its lines."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """How often, and how much of the full size."""

    runs: int
    scale: float
    """1 for the sizes that the targets are about; less for a quick look."""

    def scaled(self, count: int) -> int:
        """A full-size count at this scale, at least 1."""
        return max(1, round(count * self.scale))


def say(text: str) -> None:
    """One line of the report."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_figure(title: str, value: float, unit: str, places: int = 0) -> None:
    """One figure in the report's columns."""
    say(f"  {title:<42}{value:>12,.{places}f} {unit}")
