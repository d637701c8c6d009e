"""`bursar void`: takes events out of every total, by their ids or by filters and a window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import changing, options
from bursar.cli.options import examples

if TYPE_CHECKING:
    from bursar_client import BursarClient
    from bursar_client.changes import Changes

EXAMPLES = examples(
    "bursar void --id call-17 --id call-18 --reason 'sent twice under two ids'",
    "bursar void --filter environment=loadtest --window 7d --dry-run",
    "bursar void --filter environment=loadtest --window 7d --reason 'a load test wrote to production'",
)

_BOUNDS = ("expect_events", "up_to_event")
"""What the look found, so that nothing else is voided."""


@options.naming_ledger
def void(
    *,
    ids: Annotated[list[str] | None, typer.Option("--id", metavar="ID", help="An event by its id.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="NAME=VALUE", help="All events like this, as for `bursar query`."),
    ] = None,
    window: Annotated[str | None, typer.Option(help="When they happened, as for `bursar query`.")] = None,
    reason: changing.Reason = None,
    dry_run: changing.DryRun = False,
    yes: changing.Yes = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Take events out of every total; their history stays.

    Shows what they come to and asks before it goes on. Filters are carried out as a job, which a restart of
    the server resumes; events that come in after the look are left alone.
    """
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_json, say

    asked = _asked(ids, where, window)
    changing.need_reason(reason, dry_run=dry_run)
    with open_ledger(ledger) as client:
        seen = _void(client.changes.for_tenant(ledger.tenant), asked, reason, dry_run=True)
        if not as_json:
            changing.show_totals(seen["totals"])
        if missing := seen["not_found"]:
            say(f"No event counts under {len(missing)} of the ids: {', '.join(missing[:10])}")
        if dry_run:
            done = seen
        else:
            changing.confirm(f"Void these {seen['expect_events']} events?", yes=yes)
            bounds = {name: seen[name] for name in _BOUNDS if seen[name] is not None}
            done = _carry_out(client, {**asked, **bounds}, reason, ledger.tenant)
    if as_json:
        print_json(done)
    elif not dry_run:
        say(f"Events voided: {done['expect_events']:,}.")


def _carry_out(
    client: BursarClient, asked: dict[str, Any], reason: str | None, tenant: str | None
) -> dict[str, Any]:
    done = _void(client.changes.for_tenant(tenant), asked, reason, dry_run=False)
    if done["run"] is None:
        return done
    return {**done, "run": changing.finish_run(client, done, tenant), "applied": True}


def _asked(ids: list[str] | None, where: list[str] | None, window: str | None) -> dict[str, Any]:
    from bursar.cli.query import read_filters

    if bool(ids) == bool(where or window):
        message = "Name events with --id, or with --filter and --window: one of the two ways."
        raise typer.BadParameter(message)
    if ids:
        return {"event_ids": ids}
    named = {"filters": read_filters(where or []), "window": window}
    return {name: value for name, value in named.items() if value}


def _void(changes: Changes, asked: dict[str, Any], reason: str | None, *, dry_run: bool) -> dict[str, Any]:
    return dict(changes.void_selected(dry_run=dry_run, reason=reason, **asked))
