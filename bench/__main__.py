"""`python -m bench [NAME…]`: runs benchmarks one after the other and prints one table each.

A scenario is a module with a `run` that prints its figures and returns whether all went well; it is
entered in `SCENARIOS` and needs nothing else.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from bench import ingest, singles
from bench.machine import decode_rate, duckdb_load_rate, sync_rate
from bench.options import Options, say, say_figure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SCENARIOS: dict[str, Callable[[Options], bool]] = {"ingest": ingest.run, "singles": singles.run}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and exit with 0 unless a scenario says that something went wrong."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"any of: {', '.join(SCENARIOS)}; all without"
    )
    parser.add_argument("--runs", type=int, default=5, help="runs, of which the median counts (default: 5)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full sizes (default: 1)")
    asked = parser.parse_args(arguments)
    unknown = [name for name in asked.names if name not in SCENARIOS]
    if unknown:
        parser.error(f"there is no benchmark called {', '.join(unknown)}")
    say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, medians of {asked.runs}")
    say("this machine's own limits:")
    say_figure("msgspec alone decodes", decode_rate(), "events/s on one core")
    say_figure("DuckDB alone loads the same JSON", duckdb_load_rate(), "events/s on one core")
    say_figure("64 kB append and fdatasync", sync_rate(), "commits/s")
    options = Options(asked.runs, asked.scale)
    results = [SCENARIOS[name](options) for name in asked.names or SCENARIOS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
