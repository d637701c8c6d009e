"""A folder of many events: fills it (`fill.py`), and says what an event costs as the folder grows.

Filled folders are kept in the scratch folder, or where `--folder` says, and used again by the scenarios
that ask about many events. The cost of applying an event must not depend on how many there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.fill import Step, fill_folder
from bench.footprint import add_sizes
from bench.options import Options, say
from bench.report import Line, Report, at_most

if TYPE_CHECKING:
    from pathlib import Path

EVENTS = 10_000_000
FLAT = at_most(1.3)
"""The last tenth may cost so many times what the second one does; the first fills empty files."""


def run(options: Options, report: Report) -> None:
    """Make a folder of 10 million events, or of as many as asked for."""
    folder, events = _folder_of(options), options.count(EVENTS)
    steps = _filled(folder, events)
    for step in steps:
        rate = f"{step.events / step.seconds:,.0f} events/s in all"
        what = f"applying, up to {step.stored:,} events"
        report.add(Line(what, [step.applying_micros], "µs CPU/event", note=rate))
    if len(steps) > 2:
        growth = steps[-1].applying_micros / steps[1].applying_micros
        report.add(Line("cost of applying, last tenth to second", [growth], "times", FLAT))
    add_sizes(folder, report, "filled folder")


def filled_folder(options: Options) -> Path:
    """A folder with events: the one that was named as it is, or one that is filled now if need be."""
    folder = _folder_of(options)
    if options.folder is None or not (folder / "FORMAT").exists():
        _filled(folder, options.count(EVENTS))
    return folder


def _folder_of(options: Options) -> Path:
    return options.folder or options.scratch / f"filled-{options.count(EVENTS)}"


def _filled(folder: Path, events: int) -> list[Step]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    say(f"filling {folder} up to {events:,} events")
    steps: list[Step] = []

    def note(step: Step) -> None:
        steps.append(step)
        rate = step.events / step.seconds
        say(f"    {step.stored:,} events: {rate:,.0f}/s, {step.applying_micros:.1f} µs CPU to apply one")

    fill_folder(folder, events, note)
    return steps
