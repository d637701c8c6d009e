"""A process that runs jobs over a state store, for tests that kill it: `python -m` this with its arguments.

Its one job counts up from what it saved, and writes each number down with the name of its process. It
ends by itself only when the count is complete.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bursar.scheduling.job import Job
from bursar.scheduling.runner import JobRunner
from bursar.scheduling.runner_values import RunnerOptions
from bursar.storage.relational.engine import make_engine
from bursar.storage.relational.leases import RelationalLease
from bursar.storage.relational.runs import RelationalSchedulerStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.scheduling.job import RunContext
    from bursar.storage.relational.engine import StateEngine

COUNT = "count"


def make_counting_runner(engine: StateEngine, place: str, written: Path) -> JobRunner:
    """A runner that knows the counting job."""

    def count(context: RunContext) -> Mapping[str, Any]:
        number = (context.saved or {"done": 0})["done"]
        while number < context.parameters["up_to"]:
            number += 1
            with written.open("a") as file:
                file.write(f"{place} {number}\n")
            context.save({"done": number})
            context.progress("counting", number, context.parameters["up_to"])
        return {"counted": number}

    job = Job(id=COUNT, title="Counts.", work=count, resumes=True)
    store, lease = RelationalSchedulerStore(engine), RelationalLease(engine, "scheduler")
    return JobRunner([job], store, lease, RunnerOptions(place=place))


def main() -> None:
    """Run jobs until killed: the store's URL, the name of the place, the file to write to."""
    url, place, written = sys.argv[1:]
    runner = make_counting_runner(make_engine(url), place, Path(written))
    runner.start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
