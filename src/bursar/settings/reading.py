"""Where settings come from: the process's environment, a `.env` file, and what a command line overrides.

Reading collects everything that is wrong, so that a start fails once with the whole list and not once
per typo. A variable with our prefix that is no setting is refused too: a typo must not silently leave
a default in force.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dotenv import dotenv_values
from pydantic import ValidationError

from bursar.errors import ConfigurationError, Reason
from bursar.settings.fields import Settings, form_of, names_of, show_value
from bursar.settings.spelling import PREFIX, Contradiction

if TYPE_CHECKING:
    from collections.abc import Mapping

FOREIGN_NAMES = frozenset({"BURSAR_REQUIRE_ENGINES", "BURSAR_URL"})
"""Variables with our prefix that are meant for the tests and the client, not for the server."""
_KUBERNETES = re.compile(r"BURSAR(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP)(_\w+)?)")
"""What Kubernetes puts into every pod beside a Service whose name begins with `bursar`."""


def load_settings(
    environ: Mapping[str, str] | None = None, env_file: Path | None = None, **overrides: object
) -> Settings:
    """The settings, from `overrides`, else the environment, else the `.env` file, else the defaults.

    Without `environ` it is the process's own environment and the working directory's `.env`. An empty
    variable and an override of None count as not given.

    Raises:
        ConfigurationError: `reasons` has every wrong value and every unknown `BURSAR_` variable.
    """
    if environ is None:
        environ, env_file = os.environ, env_file or Path(".env")
    sources = (environ, _read_env_file(env_file))
    given = {field: found for field in Settings.model_fields if (found := _find(field, sources))}
    values: dict[str, Any] = {field: value for field, (_, value) in given.items()}
    values |= {field: value for field, value in overrides.items() if value is not None}
    reasons = _unknown_names(sources)
    try:
        settings = Settings(**values)
    except ValidationError as error:
        names = {field: name for field, (name, _) in given.items() if overrides.get(field) is None}
        reasons = [*_explain(error, values, names), *reasons]
    else:
        if not reasons:
            return settings
    raise ConfigurationError(_list_reasons(reasons), reasons=tuple(reasons))


def _read_env_file(path: Path | None) -> dict[str, str]:
    if path is None or not path.is_file():
        return {}
    # No interpolation: what is written is what is meant, also in a password with a `$`.
    return {name: value for name, value in dotenv_values(path, interpolate=False).items() if value}


def _find(field: str, sources: tuple[Mapping[str, str], ...]) -> tuple[str, str] | None:
    for source in sources:
        for name in names_of(field):
            if value := source.get(name, "").strip():
                return name, value
    return None


def _unknown_names(sources: tuple[Mapping[str, str], ...]) -> list[Reason]:
    known = {names_of(field)[0] for field in Settings.model_fields}
    ours = {name for source in sources for name in source if name.startswith(PREFIX)}
    unknown = sorted(name for name in ours - known - FOREIGN_NAMES if not _KUBERNETES.fullmatch(name))
    return [Reason(name, "unknown_setting", _suggest(name, known)) for name in unknown]


def _suggest(name: str, known: set[str]) -> str:
    # Compared without the prefix, which would make any two names look alike.
    rests = sorted(one.removeprefix(PREFIX) for one in known)
    near = difflib.get_close_matches(name.removeprefix(PREFIX), rests, n=1)
    hint = f"did you mean {PREFIX}{near[0]}?" if near else "docs/reference/settings.md lists them"
    return f"{name} is not a setting; {hint}"


def _explain(error: ValidationError, values: dict[str, Any], names: dict[str, str]) -> list[Reason]:
    reasons: list[Reason] = []
    for problem in error.errors():
        cause = problem.get("ctx", {}).get("error")
        if isinstance(cause, Contradiction):
            reasons.extend(cause.reasons)
            continue
        field = str(problem["loc"][0])
        if field not in Settings.model_fields:
            reasons.append(Reason(field, "unknown_setting", f"{field} is not a setting"))
            continue
        name = names.get(field, names_of(field)[0])
        message = f"{name}={show_value(field, values.get(field))} is wrong: use {form_of(field)}"
        reasons.append(Reason(name, "wrong_value", message))
    return reasons


def _list_reasons(reasons: list[Reason]) -> str:
    heading = "A setting is wrong:" if len(reasons) == 1 else f"{len(reasons)} settings are wrong:"
    return "\n  ".join([heading, *(reason.message for reason in reasons)])
