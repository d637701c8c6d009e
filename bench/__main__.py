"""`python -m bench [NAME…]`: runs benchmarks one after the other and prints one table at the end.

A scenario is a module with a `run` that adds lines to a report; it is entered in `SCENARIOS` with a
sentence about it and needs nothing else.
"""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import (
    dedupe,
    filling,
    flood,
    footprint,
    ingest,
    keys,
    latency,
    machine,
    peers,
    pricing,
    queries,
    reprice,
    singles,
)
from bench.options import SCRATCH, Options, say
from bench.report import Report
from bursar import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Scenario:
    """One benchmark."""

    run: Callable[[Options, Report], None]
    about: str
    is_short: bool = True
    """Whether it runs when no scenario is named."""


SCENARIOS: dict[str, Scenario] = {
    "batches": Scenario(ingest.run, "3 million events in bodies of 1,000: durable and applied a second"),
    "singles": Scenario(singles.run, "single posts over 256 connections, alone and beside gzip bodies"),
    "flood": Scenario(flood.run, "one tenant's posts while another floods, with and without a limit"),
    "latency": Scenario(latency.run, "received to queryable, checkpoints included, at 20,000 events/s"),
    "queries": Scenario(queries.run, "questions and look-ups on 10 million events, quiet and under load"),
    "reprice": Scenario(reprice.run, "a million events rated again at a discount, beside a stream"),
    "footprint": Scenario(footprint.run, "bytes an event takes: DuckDB file, key index, archive"),
    "dedupe": Scenario(dedupe.run, "deduplication at 1, 10 and 50 million keys; SQLite and DuckDB beside it"),
    "keys": Scenario(keys.run, "recognising a post's key and counting it; SHA-256 and a dict beside it"),
    "pricing": Scenario(pricing.run, "pricing one event; genai-prices and litellm beside it"),
    "peers": Scenario(
        peers.run, "Arize Phoenix taking spans; chDB on the same rows as `queries`", is_short=False
    ),
    "fill": Scenario(filling.run, "only fill a folder, and what an event costs as it grows", is_short=False),
}
EXAMPLES = """examples:
  make bench                                    every scenario but peers and fill: half an hour
  make bench ARGS="batches --events 300000 --runs 1"
  make bench ARGS="fill --events 100000000 --folder /data/large"    an hour; goes on where it was stopped
  make bench ARGS="queries --folder /data/large"
  python -m bench batches 2> /dev/null          only the table

Timings never make it fail; refused or lost events do. On a busy machine (see the column `load`) compare
processor times. What the figures mean is in docs/explanation/performance.md.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and exit with 0 unless events were refused or lost."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    names: list[str] = asked.names or [name for name, one in SCENARIOS.items() if one.is_short]
    if unknown := [name for name in names if name not in SCENARIOS]:
        parser.error(f"there is no benchmark called {', '.join(unknown)}")
    options = Options(asked.runs, asked.events, asked.seconds, asked.asks, asked.folder, asked.scratch)
    options.scratch.mkdir(parents=True, exist_ok=True)
    report = Report()
    machine.run(options, report)
    for name in names:
        say(f"== {name}: {SCENARIOS[name].about}")
        SCENARIOS[name].run(options, report)
    _print(report, options)
    return 1 if report.faults else 0


def _parser() -> argparse.ArgumentParser:
    width = max(len(name) for name in SCENARIOS) + 2
    listed = "\n".join(f"  {name:<{width}}{one.about}" for name, one in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"Measures Bursar, and what this machine can do at all.\n\nscenarios:\n{listed}",
        epilog=textwrap.dedent(EXAMPLES),
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios, in this order")
    parser.add_argument("--runs", type=int, default=5, help="runs, of which the median counts (default: 5)")
    parser.add_argument("--events", type=int, help="events instead of the number the targets are about")
    parser.add_argument("--seconds", type=float, default=130, help="length of `latency` (default: 130)")
    parser.add_argument("--asks", type=int, default=200, help="how often to ask each question (default: 200)")
    parser.add_argument("--folder", type=Path, help="a data folder to fill or to use; it is kept and grows")
    parser.add_argument(
        "--scratch",
        type=Path,
        default=SCRATCH,
        help=f"filled folders and peers are kept here (default: {SCRATCH})",
    )
    return parser


def _print(report: Report, options: Options) -> None:
    cores, load = os.cpu_count(), os.getloadavg()[0]
    sys.stdout.write(
        f"{clock.rfc3339(clock.now())}, {cores} cores, load {load:.1f} at the end,"
        f" medians of {options.runs}\n\n"
        f"{report.as_markdown()}"
    )
    for fault in report.faults:
        sys.stdout.write(f"FAULT: {fault}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
