"""Child processes that start in an instant: forked from a small process that has done the imports.

A child may enter a small disk of its own before it begins. What it prints goes into files.
"""

from __future__ import annotations

import multiprocessing
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.small_disk import SmallDisk, enter_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    ["tests.support.preloaded", "tests.support.server", "tests.cli.command_line"]
)
_MEASURES = "COVERAGE_PROCESS_CONFIG"
"""The variable by which a measured process has its own measured too."""
_PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Child:
    """What a child works with."""

    output: Path
    """Its standard output."""
    errors: Path
    """Its standard error."""
    disk: SmallDisk | None = None

    def start(self, work: Callable[..., object], *arguments: object) -> ForkServerProcess:
        """Begin a function, which must be importable, in a new process."""
        holder = self.disk.holder if self.disk else None
        outputs = (str(self.output), str(self.errors))
        child = _PROCESSES.Process(target=_run, args=(outputs, holder, work, arguments), daemon=True)
        with _unmeasured():
            child.start()
        return child

    def run(self, work: Callable[..., object], *arguments: object) -> None:
        """Run it to its end, which must be a good one."""
        child = self.start(work, *arguments)
        child.join(_PATIENCE_SECONDS)
        code = child.exitcode
        if code is None:
            child.kill()
            child.join()
        child.close()
        assert code == 0, self.errors.read_text()


@contextmanager
def _unmeasured() -> Generator[None]:
    """Keep `coverage` out of the process that is forked from, which the first child starts.

    It would slow every child to half its speed for nothing: one that is killed, or ends as forked ones
    do, never writes its figures.
    """
    config = os.environ.pop(_MEASURES, None)
    try:
        yield
    finally:
        if config is not None:
            os.environ[_MEASURES] = config


def _run(
    outputs: tuple[str, str],
    disk_holder: int | None,
    work: Callable[..., object],
    arguments: tuple[object, ...],
) -> None:
    for number, path in enumerate(outputs, start=1):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    if disk_holder is not None:
        enter_disk(disk_holder)
    work(*arguments)
