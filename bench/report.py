"""The table at the end: what was measured, its target, the figure, processor time, met or not.

A line holds the values of all runs and shows their median with the smallest and largest, and the
machine's load average when it was taken: on a busy machine wall times say little, processor times
still do. A missed target is a word in the table and nothing else; only lost or refused events are faults.
"""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.options import say

if TYPE_CHECKING:
    from collections.abc import Sequence

HEAD = ("what", "target", "median (min..max)", "unit", "CPU", "met", "load", "note")
_LARGE, _SMALL = 100, 1


@dataclass(frozen=True, slots=True)
class Target:
    """A bound that a figure should keep."""

    bound: float
    is_least: bool

    def is_met(self, value: float) -> bool:
        """Whether a figure keeps it."""
        return value >= self.bound if self.is_least else value <= self.bound

    def shown(self) -> str:
        """As the table has it."""
        return f"{'at least' if self.is_least else 'at most'} {show(self.bound)}"


def at_least(bound: float) -> Target:
    """More is better."""
    return Target(bound, is_least=True)


def at_most(bound: float) -> Target:
    """Less is better."""
    return Target(bound, is_least=False)


@dataclass(frozen=True, slots=True)
class Line:
    """One measured thing."""

    what: str
    values: Sequence[float]
    """One for each run."""
    unit: str
    target: Target | None = None
    cpu: str = ""
    """Processor time with its unit, where there is any to tell."""
    note: str = ""
    load: float = field(default_factory=lambda: os.getloadavg()[0])

    @property
    def median(self) -> float:
        """The value that counts."""
        return statistics.median(self.values)

    def cells(self) -> tuple[str, ...]:
        """The line's cells, in the order of `HEAD`."""
        spread = f" ({show(min(self.values))}..{show(max(self.values))})" if len(self.values) > 1 else ""
        met = "" if self.target is None else "yes" if self.target.is_met(self.median) else "NO"
        target = "" if self.target is None else self.target.shown()
        figure = f"{show(self.median)}{spread}"
        return self.what, target, figure, self.unit, self.cpu, met, f"{self.load:.1f}", self.note


@dataclass(slots=True)
class Report:
    """What all scenarios of a run have found."""

    lines: list[Line] = field(default_factory=list["Line"])
    faults: list[str] = field(default_factory=list[str])
    """What must not happen however slow a machine is: refused or missing events."""

    def add(self, line: Line) -> None:
        """Put a line into the table, and say it at once."""
        self.lines.append(line)
        say("  " + " | ".join(cell for cell in line.cells() if cell))

    def fault(self, text: str) -> None:
        """Note what makes the whole run fail."""
        self.faults.append(text)
        say(f"  FAULT: {text}")

    def as_markdown(self) -> str:
        """The table, readable as it is and as Markdown."""
        rows = [HEAD, *(line.cells() for line in self.lines)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
        texts = [_row(row, widths) for row in rows]
        texts.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join(texts) + "\n"


def show(value: float) -> str:
    """A number with as many places as it deserves."""
    size = abs(value)
    if size >= _LARGE:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= _SMALL else f"{value:.3g}"


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all values doesn't exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
