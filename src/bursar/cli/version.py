"""`bursar version`: which Bursar this is, and what it runs on."""

from __future__ import annotations

from typing import Annotated

import typer

from bursar.cli import options
from bursar.cli.options import examples

EXAMPLES = examples("bursar version", "bursar version --json")
ENGINES = ("duckdb", "sqlalchemy", "genai-prices")
"""The packages whose version decides what a data folder or a price means."""


def version(*, as_json: options.AsJson = False) -> None:
    """Print the version of Bursar, of Python and of the engines."""
    from bursar.cli.printing import print_json

    found = versions()
    if as_json:
        print_json(found)
        return
    print(_line_of(found))


def _say_and_leave(asked: bool) -> None:
    if asked:
        print(_line_of(versions()))
        raise typer.Exit


def root(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_say_and_leave,
            is_eager=True,
            help="The same as `bursar version`.",
        ),
    ] = False,
) -> None:
    """Take the options of `bursar` itself; the commands have their own."""


def _line_of(found: dict[str, str]) -> str:
    engines = ", ".join(f"{name} {found[name]}" for name in ENGINES)
    return f"bursar {found['bursar']} (Python {found['python']}, {engines}, SQLite {found['sqlite']})"


def versions() -> dict[str, str]:
    """The version of each part by its name; `missing` where a package isn't installed."""
    import platform
    import sqlite3
    from importlib import metadata

    import bursar

    found = {"bursar": bursar.__version__, "python": platform.python_version()}
    for name in ENGINES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return {**found, "sqlite": sqlite3.sqlite_version}
