"""`bursar quarantine`: lists what was accepted and counts nowhere, and lets it out."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bursar.cli import changing, options
from bursar.cli.failures import ExitCode
from bursar.cli.options import examples

HELP = "Records that were accepted and count nowhere: list, show, let out."
COLUMNS = ("id", "received_at", "event_id", "reason", "detail")

app = typer.Typer(no_args_is_help=True)


@app.command("list", epilog=examples("bursar quarantine list", "bursar quarantine list --why conflict"))
@options.naming_ledger
def list_quarantine(
    *,
    why: Annotated[str | None, typer.Option("--why", help="Only those there for this: conflict …")] = None,
    window: Annotated[str | None, typer.Option(help="When they came in: 30d, today, START/END …")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many.")] = 100,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """List what was accepted and counts nowhere, the latest first."""
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_items, say

    with open_ledger(ledger) as client:
        changes = client.changes.for_tenant(ledger.tenant)
        found = changes.quarantined(reason=why, window=window, limit=limit)
    items: list[dict[str, Any]] = found["items"]
    print_items(items, COLUMNS, as_json=as_json)
    if found["total_count"] > len(items):
        say(f"These are {len(items)} of {found['total_count']}.")


@app.command("show", epilog=examples("bursar quarantine show 1234"))
@options.naming_ledger
def show(
    record_id: Annotated[int, typer.Argument(metavar="ID", help="As the list shows it.")],
    *,
    ledger: options.Ledger,
) -> None:
    """Show one record as JSON, with why it is there."""
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import print_json

    print_json(ask(ledger, "GET", path_of("/api/v1/events/quarantine", str(record_id))))


@app.command(
    "replay",
    epilog=examples(
        "bursar quarantine replay --id 1234 --as correction --reason 'the second log is the right one'",
        "bursar quarantine replay --why unknown_kind --reason 'upgraded'",
        "bursar quarantine replay --why conflict --as discard --reason 'known duplicates'",
    ),
)
@options.naming_ledger
def replay(
    *,
    ids: Annotated[list[int] | None, typer.Option("--id", metavar="ID", help="As the list shows it.")] = None,
    why: Annotated[str | None, typer.Option("--why", help="All that are there for this reason.")] = None,
    how: Annotated[
        str, typer.Option("--as", help="retry (put in again), correction (of a conflict) or discard.")
    ] = "retry",
    reason: changing.Reason = None,
    dry_run: changing.DryRun = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Let records out; what can't be says why and stays. Exits with 1 when something stayed."""
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_json, print_table, say

    if bool(ids) == (why is not None):
        message = "Name records with --id, or with --why: one of the two ways."
        raise typer.BadParameter(message)
    changing.need_reason(reason, dry_run=dry_run)
    named = {"ids": ids, "filter": {"reason": why} if why else None}
    with open_ledger(ledger) as client:
        done = client.changes.for_tenant(ledger.tenant).replay(
            **named, how=how, reason=reason, dry_run=dry_run
        )
    if as_json:
        print_json(done)
    else:
        refused = [(one["id"], one["code"], one["message"]) for one in done["refused"]]
        if refused:
            print_table(("id", "stays because", ""), refused)
        left = f", {done['remaining']} more match" if done["remaining"] else ""
        say(f"{'Would let' if dry_run else 'Let'} {len(done['released'])} records out{left}.")
    if done["refused"]:
        raise typer.Exit(ExitCode.FAILED)
