"""What commands that change the ledger do alike: they show what would go, ask, and wait for the job.

Nothing is changed before somebody has seen what it is about: `--yes` says that they have.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli.failures import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar_client import BursarClient

Reason = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why; it stays with the change for good.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask; for scripts.")]
LeaveElsewhere = Annotated[
    bool, typer.Option("--leave-elsewhere", help="Don't wait for other servers on this state store.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be changed.")]
MODELS_SHOWN = 20


def need_reason(reason: str | None, *, dry_run: bool = False) -> str:
    """The reason that was given; a look needs none.

    Raises:
        BadParameter: none was.
    """
    if dry_run:
        return reason or ""
    if reason is None or not reason.strip():
        message = "Say why with --reason; it stays with the change for good."
        raise typer.BadParameter(message)
    return reason


def confirm(question: str, *, yes: bool) -> None:
    """Ask the person at the keyboard, unless they said yes already.

    Raises:
        CommandFailed: they said no, or there is nobody to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        message = "Nobody is there to confirm this; say --yes, or --dry-run to look first."
        raise CommandFailed(message)
    if not typer.confirm(question, err=True):
        message = "Nothing was changed."
        raise CommandFailed(message)


def finish_run(client: BursarClient, answer: Mapping[str, Any], tenant: str | None) -> Mapping[str, Any]:
    """The run of an answer once it has succeeded, with its progress on stderr.

    Raises:
        CommandFailed: it ended otherwise.
    """
    from bursar.cli.printing import steps_of

    with steps_of() as tell:
        run = client.changes.for_tenant(tenant).wait_for(
            answer, lambda one: tell(one.get("step") or "waiting", one.get("done") or 0)
        )
    if run["state"] != "succeeded":
        message = f"The run {run['id']} ended as {run['state']}: {run.get('error') or 'see the server log'}"
        raise CommandFailed(message)
    return run


def show_totals(totals: Mapping[str, Any]) -> None:
    """What selected events come to, in all and per model."""
    from bursar.cli.printing import print_table

    rows: list[tuple[str, object]] = [
        ("events", totals["events"]),
        ("of them without a known price", totals["unpriced"]),
        *((f"cost in {one['currency']}", one["amount"]) for one in totals["cost"]),
        ("first", totals["first"]),
        ("last", totals["last"]),
    ]
    print_table(("selected", ""), rows, numbers=("",))
    models = [
        (one["provider"], one["model"], one["events"], _amounts(one["cost"])) for one in totals["models"]
    ]
    if models:
        columns = ("provider", "model", "events", "cost")
        print_table(columns, models[:MODELS_SHOWN], numbers=("events", "cost"))


def _amounts(cost: list[dict[str, Any]]) -> str:
    return ", ".join(f"{one['amount'] or '–'} {one['currency']}" for one in cost)
