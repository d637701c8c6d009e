"""`bursar --help`: quick because nothing heavy is imported, and complete for every command."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from bursar.cli.main import app
from bursar.cli.reference import markdown
from tests.cli.command_line import bursar

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAVY = frozenset(
    {
        *(
            "alembic",
            "duckdb",
            "fastapi",
            "genai_prices",
            "httpx",
            "msgspec",
            "numpy",
            "opentelemetry",
        ),
        *("pydantic", "rich", "sqlalchemy", "starlette", "structlog", "uvicorn", "uvloop", "bursar_client"),
    }
)
"""What costs a tenth of a second and more to import; `--help` has half a second in all."""
ASKING = "import sys\ntry:\n app(%r)\nexcept SystemExit:\n pass\nprint(*sys.modules, file=sys.stderr)"


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by its full name."""
    yield from commands_of(get_command(app), "")


def commands_of(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - click is private to typer
    """Every command of a group, those of groups inside it included."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands_of(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


COMMANDS = dict(commands())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["query", "--help"], ["keys", "--help"], ["demo", "--help"], ["--version"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = f"from bursar.cli.main import app\n{ASKING % (arguments,)}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.startswith(("Usage:", "bursar "))
    imported = {name.partition(".")[0] for name in done.stderr.split()}
    # typer itself reads a command's parameters with pydantic, though not those of the root.
    own = {"pydantic"} if arguments != ["--help"] else set[str]()
    assert not imported & (HEAVY - own)


def test_help_lists_every_command_and_the_exit_codes() -> None:
    said = bursar("--help").out
    for name in COMMANDS:
        assert f"  {name.split()[0]}" in said
    assert "3 `verify` found differences" in said


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_promises_something_and_shows_examples(name: str) -> None:
    said = bursar(*name.split(), "--help").out
    promise = inspect.cleandoc(COMMANDS[name].help).splitlines()[0]
    assert promise.endswith((".", ":"))
    assert f"  bursar {name}" in said.partition("Examples:")[2] or "bursar" in said.partition("Examples:")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_an_example_is_a_command_line_that_is_understood(name: str) -> None:
    command: Any = COMMANDS[name]
    known = {"--help"} | {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    for line in command.epilog.splitlines():
        if line.strip().startswith(f"bursar {name}"):
            own = line.partition("&&")[0].partition("||")[0]
            options = {word for word in own.split() if word.startswith("--")}
            assert {option.partition("=")[0] for option in options} <= known, line


def test_the_reference_page_has_every_command_with_its_options_and_examples() -> None:
    page = markdown()
    for name, command in COMMANDS.items():
        assert f"\n## bursar {name}\n" in page
        for parameter in command.params:
            options = [option for option in parameter.opts if option.startswith("-")]
            assert all(option in page for option in options), (name, options)
    assert "bursar query --by model --order -cost --limit 10" in page


def test_an_unknown_command_or_option_is_a_usage_error() -> None:
    assert bursar("spend").code == 2
    wrong = bursar("query", "--limit", "0")
    assert wrong.code == 2
    assert "Traceback" not in wrong.err
    assert "--limit" in wrong.err


def test_version_names_bursar_python_and_the_engines() -> None:
    shown = bursar("version")
    assert shown.code == 0
    assert shown.out.startswith("bursar ")
    assert bursar("--version") == shown
    found = bursar("version", "--json").json
    assert {"bursar", "python", "duckdb", "sqlite", "genai-prices"} <= set(found)
