"""Running `bursar` in tests: inside this process beside a test's server, or as a process of its own.

Inside is quick and enough for what a command says and asks of a server. A process of its own is for commands
that serve a folder themselves and for exit codes; a whole program for signals and for what a shell sees.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from bursar.cli.main import app
from tests.support.child import Child
from tests.support.environment import settings_here

if TYPE_CHECKING:
    from collections.abc import Generator

PROCESS_TIMEOUT_SECONDS = 60
SERVES = "serves http://"
"""Words of the line that `bursar serve` says once it takes connections."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the command printed
        """Standard output as JSON."""
        return json.loads(self.out)


def bursar(*arguments: object, **environ: str) -> Ran:
    """Run the command inside this process."""
    result = CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "200", **environ})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


def bursar_process(*arguments: object, **environ: str) -> Ran:
    """Run the command as a process of its own, to its end; forked, which takes a quarter of a new one."""
    with tempfile.TemporaryDirectory(prefix="bursar-said-") as place:
        out, err = Path(place, "out"), Path(place, "err")
        process = Child(out, err).start(_run, [str(one) for one in arguments], _environment(environ))
        process.join(PROCESS_TIMEOUT_SECONDS)
        code = process.exitcode
        process.kill()
        process.join()
        process.close()
        said, warned = out.read_text(), err.read_text()
    assert code is not None, f"it didn't end: {said}{warned}"
    return Ran(code, said, warned)


def _run(arguments: list[str], environ: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environ)
    app(arguments, prog_name="bursar")


def bursar_program(*arguments: object, **environ: str) -> Ran:
    """Run the command as a shell would, with a Python of its own, to its end."""
    done = subprocess.run(
        _command(*arguments),
        env=_environment(environ),
        capture_output=True,
        text=True,
        timeout=PROCESS_TIMEOUT_SECONDS,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@contextmanager
def started(*arguments: object, **environ: str) -> Generator[subprocess.Popen[str]]:
    """The command as a running process; killed when the block is left, if it still runs."""
    process = subprocess.Popen(
        _command(*arguments),
        env=_environment(environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[str], words: str) -> list[str]:
    """The lines of standard output up to the one with these words.

    Raises:
        EOFError: the process ended without saying them; the error has what it said.
    """
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if words in line:
            return lines
    said = process.stderr.read() if process.stderr else ""
    raise EOFError("\n".join([*lines, said]))


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "bursar", *(str(one) for one in arguments)]


def _environment(environ: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in settings_here()}
    return {**kept, "COLUMNS": "200", **environ}
