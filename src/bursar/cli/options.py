"""The options that several commands share, each spelled and explained once.

A command that works on a ledger takes one `Ledger` (or `Target`, where no tenant is meant) and is
decorated with `naming_ledger`, which gives it the options that name one.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

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


@dataclass(frozen=True, slots=True)
class Target:
    """Which ledger a command means."""

    data: Data = None
    url: Url = None
    key: Key = None

    @property
    def params(self) -> dict[str, str]:
        """The query parameters that name a tenant: none do."""
        return {}


@dataclass(frozen=True, slots=True)
class Ledger(Target):
    """Which ledger a command means, and which of its tenants."""

    tenant: Tenant = None

    @property
    def params(self) -> dict[str, str]:
        """The query parameters that name the tenant."""
        return {} if self.tenant is None else {"tenant_id": self.tenant}


def naming_ledger(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of its parameter of type `Target` or `Ledger`, in that one's place."""
    signature = inspect.signature(command, eval_str=True)
    name, kind = next(
        (one.name, one.annotation) for one in signature.parameters.values() if one.annotation in _NAMING
    )
    names = [field.name for field in fields(kind)]

    @wraps(command)
    def named(**given: Any) -> None:  # noqa: ANN401 -- whatever the command's options are
        target = kind(**{field: given.pop(field) for field in names})
        command(**given, **{name: target})

    hints = get_type_hints(kind, include_extras=True)
    naming = [
        inspect.Parameter(field, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hints[field])
        for field in names
    ]
    parameters = [
        one for own in signature.parameters.values() for one in (naming if own.name == name else [own])
    ]
    vars(named)["__signature__"] = signature.replace(parameters=parameters)
    return named


_NAMING = (Target, Ledger)


def examples(*lines: str) -> str:
    """The epilog of a command's help: examples to copy, one a line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
