"""`bursar correct` and `bursar history`: replaces events by what they should have been, shows versions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import changing, options
from bursar.cli.failures import CommandFailed, ExitCode
from bursar.cli.options import examples

if TYPE_CHECKING:
    from bursar_client.changes import Changes

EXAMPLES = examples(
    "bursar correct fixed.ndjson --reason 'the log was cut short'",
    'echo \'{"event_id": "call-17", "model": "gpt-4o", "input_tokens": 900}\' |'
    " bursar correct - --reason typo",
)
HISTORY_EXAMPLES = examples("bursar history call-17", "bursar history call-17 --json")
EVENTS_PER_BODY = 500
_COLUMNS = ("received_at", "key_id", "model", "cost", "ended_as", "ended_at", "ended_by", "ended_reason")


@options.naming_ledger
def correct(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Events with their ids, one JSON object a line; - for stdin."),
    ],
    *,
    reason: changing.Reason = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Replace events by newly checked and rated ones of the same ids; the old versions are kept.

    Each line says the whole event; what it leaves out is absent from then on, but for the time. Exits
    with 1 when an event was refused.
    """
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_json

    why = changing.need_reason(reason)
    events = _events_in(file)
    with open_ledger(ledger) as client:
        done = _correct(client.changes.for_tenant(ledger.tenant), events, why)
    if as_json:
        print_json(done)
    else:
        _show(done)
    if done["rejected"]:
        raise typer.Exit(ExitCode.FAILED)


def _correct(changes: Changes, events: list[Any], reason: str) -> dict[str, list[dict[str, Any]]]:
    corrected: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    for start in range(0, len(events), EVENTS_PER_BODY):
        answer = changes.correct_many(events[start : start + EVENTS_PER_BODY], reason=reason)
        corrected += answer["corrected"]
        rejected += [{**one, "line": start + one["index"] + 1} for one in answer["rejected"]]
    return {"corrected": corrected, "rejected": rejected}


def _show(done: dict[str, list[dict[str, Any]]]) -> None:
    from bursar.cli.printing import print_table, say

    rows = [(one["event_id"], _cost(one["old_cost"]), _cost(one["new_cost"])) for one in done["corrected"]]
    print_table(("event", "cost before", "cost now"), rows, numbers=("cost before", "cost now"))
    for one in done["rejected"]:
        text = "; ".join(f"{reason['field']}: {reason['message']}" for reason in one["errors"])
        say(f"line {one['line']}: {text}")


@options.naming_ledger
def history(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="The event's id.")],
    *,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Show every version of an event: who changed it, when and why."""
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_json, print_table

    with open_ledger(ledger) as client:
        found = client.changes.for_tenant(ledger.tenant).history(event_id)
    if as_json:
        print_json(found)
        return
    print_table(_COLUMNS, [_version_row(one) for one in found["items"]])


def _version_row(version: dict[str, Any]) -> list[object]:
    event: dict[str, Any] = version["event"]
    ended: dict[str, Any] = version["ended"] or {}
    known = [event["received_at"], event["key_id"], event["model"], _cost(event["cost"])]
    return [*known, *(ended.get(name) for name in ("kind", "at", "key_id", "reason"))]


def _events_in(file: Path) -> list[Any]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        message = f"{file} can't be read: {why}."
        raise CommandFailed(message) from error
    events: list[Any] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            events.append(json.loads(line))
        except ValueError as error:
            message = f"Line {number} of {file} is no JSON: {error}"
            raise CommandFailed(message) from error
    if not events:
        message = f"{file} holds no events; nothing was corrected."
        raise CommandFailed(message)
    return events


def _cost(cost: dict[str, Any]) -> str:
    total = cost.get("total")
    return f"{total} {cost['currency']}" if total is not None else f"unpriced ({cost.get('reason')})"
