"""Hours of the day and week in words, as cards name them: `16:30-24:00 UTC`, `Mon-Fri 00:00-08:00 UTC`.

Only words: which prices hold at which hour is told by rows (`rows.py`).
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from bursar.pricing.rows import DAY_SECONDS, WEEKDAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def hours_text(cuts: Sequence[int], chosen: Sequence[bool]) -> str:
    """The chosen slices of the day, or of the week from Monday, in words.

    `cuts` are the seconds at which the slices begin; the slices of a week are cut alike on every day.
    """
    if cuts[-1] < DAY_SECONDS:
        return f"{_windows(cuts, chosen)} UTC"
    of_day = len(cuts) // WEEKDAYS
    texts = [
        (_windows(cuts[:of_day], chosen[day * of_day : (day + 1) * of_day]), name)
        for day, name in enumerate(DAYS)
    ]
    alike = [(windows, [name for _, name in days]) for windows, days in groupby(texts, lambda text: text[0])]
    parts = [f"{_days(names)} {windows}" for windows, names in alike if windows]
    return f"{'; '.join(parts)} UTC"


def clock_text(second: int) -> str:
    """A second of the day as a clock shows it: `16:30`, or `16:30:15`."""
    text = f"{second // 3600:02d}:{second // 60 % 60:02d}"
    return f"{text}:{second % 60:02d}" if second % 60 else text


def _days(names: Sequence[str]) -> str:
    return f"{names[0]}-{names[-1]}" if len(names) > 2 else ", ".join(names)  # noqa: PLR2004 - two are no range


def _windows(cuts: Sequence[int], chosen: Sequence[bool]) -> str:
    """The chosen slices of one day, those that touch as one: `00:00-00:30, 16:30-24:00`."""
    windows: list[list[int]] = []
    for start, end, is_chosen in zip(cuts, (*cuts[1:], DAY_SECONDS), chosen, strict=True):
        if is_chosen and windows and windows[-1][1] == start:
            windows[-1][1] = end
        elif is_chosen:
            windows.append([start, end])
    return ", ".join(f"{clock_text(start)}-{clock_text(end)}" for start, end in windows)
