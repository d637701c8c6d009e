"""How a command fails: one clear line on stderr, what to do about it, and a documented exit code.

Errors that Bursar raises on purpose, here or on a server, end in one line. Anything else is a fault of
Bursar and keeps its traceback, because that is what a report of it needs.
"""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from bursar.errors import BursarError, Unavailable

if TYPE_CHECKING:
    from bursar_client import BursarClientError, ProblemAnswer


class ExitCode(IntEnum):
    """What a script can rely on."""

    OK = 0
    FAILED = 1
    USAGE = 2
    """The command line itself is wrong; typer's own."""
    DIFFERENCES = 3
    """`verify` or `secrets check` found something wrong, or `erase-user` left something behind."""


class CommandFailed(Exception):
    """A command can't do what was asked; the text says why and what to do."""


class FailingInOneLine(TyperGroup):
    """The root of all commands: turns errors on purpose into one line and exit code 1."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 -- typer's context type is private to it
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            said = _words_for(error)
            if said is None:
                raise
        print(f"bursar: {said}", file=sys.stderr)
        raise typer.Exit(ExitCode.FAILED)


def _words_for(error: Exception) -> str | None:
    """What to tell about an error; None for one that nobody raised on purpose."""
    if isinstance(error, CommandFailed):
        return str(error)
    if isinstance(error, BursarError):
        return _advise(error)
    if "bursar_client" not in sys.modules:
        # Nothing can have raised its errors, and importing it (with httpx) would slow down `--help`.
        return None
    from bursar_client import BursarClientError

    return _explain(error) if isinstance(error, BursarClientError) else None


def _advise(error: BursarError) -> str:
    reasons = [f"  {one.field}: {one.message}" for one in error.reasons if one.message not in error.detail]
    return "\n".join([error.detail, *_cause_of(error), *reasons])


def _cause_of(error: BursarError) -> list[str]:
    """Why something does not answer, in its driver's first line: for whoever runs Bursar."""
    cause = error.__cause__ if isinstance(error, Unavailable) else None
    # SQLAlchemy's errors go on with the statement and a link; the driver's own is inside.
    lines = str(getattr(cause, "orig", cause) or "").strip().splitlines()
    return [f"  {lines[0]}"] if lines else []


def _explain(error: BursarClientError) -> str:
    from bursar_client import AccessRefused, ConnectionFailed, ProblemAnswer

    if isinstance(error, AccessRefused):
        return f"{str(error).removesuffix('.')}. Give another key with --key or BURSAR_API_KEY."
    if isinstance(error, ConnectionFailed):
        return f"{error}\nIs the server running there? `bursar serve` starts one."
    if isinstance(error, ProblemAnswer):
        return "\n".join(_lines_of(error))
    return str(error)


def _lines_of(error: ProblemAnswer) -> list[str]:
    """The server's sentence and what its document lists beside it; several reasons on a line each."""
    listed: list[dict[str, Any]] = error.problem.document.get("errors") or []
    said = [one for one in listed if str(one.get("message")) in error.problem.detail]
    if len(said) > 1:
        return [error.problem.title, *(f"  {_of_command(one.get('message'))}" for one in listed)]
    others = (f"  {one.get('field')}: {one.get('message')}" for one in listed if one not in said)
    return [_of_command(error), *others]


def _of_command(said: object) -> str:
    """The server's words without where in the request it found a value: whoever typed a command sent none."""
    return str(said).replace(" (body): ", ": ").replace(" (query): ", ": ").replace(" (path): ", ": ")
