"""How commands show what they found: tables for people, JSON and CSV for programs, progress on stderr.

Standard output carries results only, so that it can be piped; everything else goes to stderr.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from rich.console import Console

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters but for tabs and line breaks, and those that turn the direction of what follows."""
WIDTH_WITHOUT_TERMINAL = 10_000
"""A pipe has no width; wide enough that no table of ours is folded."""


def print_json(value: object) -> None:
    """Print a value as JSON, for scripts."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_one(found: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing: a line for each field, or JSON for scripts."""
    if as_json:
        print_json(found)
        return
    print_table(("field", "value"), found.items())


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows as CSV with a header; absent values are empty."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", numbers: Iterable[str] = ()
) -> None:
    """Print rows as a table; the columns named in `numbers` are aligned to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    right = set(numbers)
    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in columns:
        is_number = column in right
        # A figure that is broken in two is misread; names may be folded.
        table.add_column(column, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    for row in rows:
        # Text, not markup: values may hold brackets.
        table.add_row(*(Text(_shown(cell)) for cell in row))
    console(stderr=False).print(table)


def print_items(items: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print a list of the API: these columns as a table, or everything as JSON."""
    if as_json:
        print_json(items)
    elif not items:
        say("There are none.")
    else:
        print_table(columns, [[item.get(column) for column in columns] for item in items])


def console(*, stderr: bool) -> Console:
    """A console on standard output or on stderr, wide when it isn't a terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else WIDTH_WITHOUT_TERMINAL
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def say(message: str) -> None:
    """Tell the person at the keyboard something that is no result."""
    print(message, file=sys.stderr)


@contextmanager
def progress_of(what: str, total: int | None) -> Generator[Callable[[int], None]]:
    """A progress bar on stderr while the block runs, if that is a terminal; call it with each advance."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task(what, total=total)
        yield lambda advance: bar.advance(task, advance)


@contextmanager
def steps_of(unit: str = "records") -> Generator[Callable[[str, int], None]]:
    """A line on stderr that says what is being done, if that is a terminal; call it with step and count."""
    from rich.status import Status

    if not sys.stderr.isatty():
        yield lambda _step, _records: None
        return
    with Status("…", console=console(stderr=True)) as status:
        yield lambda step, records: status.update(f"{step}: {records:,} {unit}")


def _shown(cell: Any) -> str:  # noqa: ANN401 -- whatever JSON holds
    if cell is None or cell == "":
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, list | tuple):
        return ", ".join(_shown(one) for one in cast("Sequence[object]", cell))
    return plain(str(cell))


def plain(text: str) -> str:
    """A text that does nothing but stand there: what would steer a terminal is spelled out.

    Ids, names and models come from whoever may send something, and are read by an operator.
    """
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
