"""`bursar doctor`: prints what was found about this installation, and what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from bursar.cli import options
from bursar.cli.failures import ExitCode
from bursar.cli.options import examples

if TYPE_CHECKING:
    from pathlib import Path

    from bursar.cli.diagnosis import Finding

EXAMPLES = examples(
    "bursar doctor", "bursar doctor --data /srv/bursar --json", "bursar doctor || journalctl -u bursar"
)


def doctor(*, data: options.Data = None, as_json: options.AsJson = False) -> None:
    """Look at settings, data folder, stores and machine; say what is wrong and what to do.

    Shows only settings that differ from their default, keys and passwords masked. Changes nothing.
    Exits with 1 when something is wrong.
    """
    findings = _examine(data)
    wrong = [finding for finding in findings if finding.state == "wrong"]
    if as_json:
        _print_json(findings, is_healthy=not wrong)
    else:
        _print_table(findings, wrong)
    if wrong:
        raise typer.Exit(ExitCode.FAILED)


def _examine(data: Path | None) -> list[Finding]:
    import os

    from bursar.cli.diagnosis import Finding, State, examine
    from bursar.errors import ConfigurationError
    from bursar.settings import load_settings

    try:
        settings = load_settings(data_dir=data)
    except ConfigurationError as error:
        advice = "docs/reference/settings.md lists every setting with its allowed form."
        return [
            Finding("settings", reason.field, reason.message, State.WRONG, advice) for reason in error.reasons
        ]
    chosen = frozenset({"data_dir"}) if data is not None else frozenset[str]()
    return list(examine(settings, os.environ, chosen))


def _print_json(findings: list[Finding], *, is_healthy: bool) -> None:
    from dataclasses import asdict

    from bursar.cli.printing import print_json

    shown: dict[str, Any] = {"is_healthy": is_healthy, "findings": [asdict(one) for one in findings]}
    print_json(shown)


def _print_table(findings: list[Finding], wrong: list[Finding]) -> None:
    from bursar.cli.printing import print_table

    rows = [(one.area, one.name, one.value, "" if one.state == "ok" else one.state) for one in findings]
    print_table(("area", "what", "found", ""), rows)
    for one in findings:
        if one.advice:
            print(f"{one.state}: {one.area} {one.name}: {one.value}\n  {one.advice}")
    print(
        f"\n{len(wrong)} thing{'s are' if len(wrong) != 1 else ' is'} wrong."
        if wrong
        else "Nothing is wrong."
    )
