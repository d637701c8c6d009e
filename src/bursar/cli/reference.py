"""The reference page of the command line, written from the commands themselves.

Every command with its promise, its arguments and options, and its examples: what `--help` says, as one
page. A test fails when the page in `docs/reference` says something else.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup
from typer.main import get_command

from bursar.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = """\
# Commands

What `--help` says, as one page. It is written by `make docs` from `src/bursar/cli`; a test fails when it
is stale.

With a server on the data folder, commands talk to it through its Unix socket, as its operator and without
a key. Without one they serve the folder themselves for as long as they run. With `--url` and `--key` they
talk to a server elsewhere. Results go to standard output, everything else to stderr.

| Exit code | Meaning |
|---|---|
| 0 | done |
| 1 | failed; one line on stderr says why and what to do |
| 2 | the command line itself is wrong |
| 3 | `bursar verify` found differences; `bursar erase-user` left something that holds an identifier;\
 `bursar secrets check` found a secret that doesn't open |
"""


def markdown() -> str:
    """The whole page."""
    return _HEAD + "".join(_sections("bursar", get_command(app)))


def _sections(name: str, command: Any) -> Iterator[str]:  # noqa: ANN401 -- click is private to typer
    """A section per command, those of a group one after the other."""
    if isinstance(command, TyperGroup):
        for child, found in command.commands.items():
            yield from _sections(f"{name} {child}", found)
        return
    yield f"\n## {name}\n\n{inspect.cleandoc(command.help or '')}\n"
    yield f"\n```\n{name} {' '.join(_pieces(command))}\n```\n"
    rows = list(_rows(command))
    if rows:
        yield "\n| Option | Meaning |\n|---|---|\n" + "".join(rows)
    if command.epilog:
        yield f"\n```bash\n{_examples(command.epilog)}\n```\n"


def _pieces(command: Any) -> list[str]:  # noqa: ANN401 -- click is private to typer
    context = command.make_context("bursar", [], resilient_parsing=True)
    return command.collect_usage_pieces(context)


def _rows(command: Any) -> Iterator[str]:  # noqa: ANN401 -- click is private to typer
    context = command.make_context("bursar", [], resilient_parsing=True)
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in record[0]:
            option, meaning = (" ".join(text.split()).replace("|", "\\|") for text in record)
            yield f"| `{option}` | {meaning} |\n"


def _examples(epilog: str) -> str:
    lines = inspect.cleandoc(epilog.replace("\b", "")).splitlines()
    return "\n".join(line.strip() for line in lines if line.strip() and line.strip() != "Examples:")
