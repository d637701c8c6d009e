"""The options that several commands share, each spelled and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="The data folder. [default: BURSAR_DATA_DIR, else ./bursar-data]",
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        envvar="BURSAR_URL",
        help="A server elsewhere, instead of a data folder here.",
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KEY",
        envvar="BURSAR_API_KEY",
        help="The API key for --url.",
    ),
]
Tenant = Annotated[
    str | None,
    typer.Option(
        "--tenant", metavar="ID", help="The tenant to act for. [default: the key's own, else 'default']"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts instead of a table.")]


def examples(*lines: str) -> str:
    """The epilog of a command's help: examples to copy, one a line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
