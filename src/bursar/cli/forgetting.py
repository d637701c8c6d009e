"""`bursar erase-user` and `bursar reset`: take a person out, or everything of a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import changing, options
from bursar.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

ERASE_EXAMPLES = examples(
    "bursar erase-user ada@example.com --dry-run",
    "bursar erase-user ada@example.com u-4711 --reason 'asked to be forgotten, ticket 88'",
)
RESET_EXAMPLES = examples("bursar reset --tenant acme --reason 'the trial is over'")


@options.naming_ledger
def erase_user(
    identifiers: Annotated[
        list[str], typer.Argument(metavar="IDENTIFIER", help="What the person is called by: user ids, mail …")
    ],
    *,
    reason: changing.Reason = None,
    dry_run: changing.DryRun = False,
    yes: changing.Yes = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Take a person out of everything recorded: rows, history, quarantine, journal and archive.

    Costs, units and all totals stay, as usage of no user. Nothing in the answer, the journal or the
    job's record names the person afterwards. Exits with 3 where something still holds an identifier,
    such as an event's own id.
    """
    from bursar.cli.connection import open_ledger
    from bursar.cli.failures import ExitCode
    from bursar.cli.printing import print_json, say

    changing.need_reason(reason, dry_run=dry_run)
    with open_ledger(ledger) as client:
        changes = client.changes.for_tenant(ledger.tenant)
        seen = changes.erase_user(identifiers, reason=reason or "", dry_run=True)
        if not as_json:
            say(f"{seen['found']['events']} events hold one of the identifiers.")
        if dry_run:
            done = seen
        else:
            changing.confirm("Erase the person from all of them? This can't be undone.", yes=yes)
            done = changes.erase_user(identifiers, reason=reason or "")
            done = {**done, "run": changing.finish_run(client, done, ledger.tenant)}
    if as_json:
        print_json(done)
    elif not dry_run:
        _show_erased(done["run"]["result"])
    if not dry_run and done["run"]["result"]["left"]:
        raise typer.Exit(ExitCode.DIFFERENCES)


def _show_erased(result: Mapping[str, Any]) -> None:
    from bursar.cli.printing import say

    say(f"Erased from {result['events']} records; {result['left']} places still hold an identifier.")
    if result["left"]:
        fields = ", ".join(f"{name} ({count})" for name, count in result["left_in"].items())
        say(f"They are in: {fields}.")
        say("An erasure can't change those; they go with the tenant's retention (`bursar retention`).")


@options.naming_ledger
def reset(
    *,
    reason: changing.Reason = None,
    yes: changing.Yes = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Remove everything that a tenant ever recorded; its keys, projects and settings stay."""
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_json, say
    from bursar.identity.tenant import DEFAULT_TENANT_ID

    why, named = changing.need_reason(reason), ledger.tenant or DEFAULT_TENANT_ID
    changing.confirm(f"Remove everything that tenant {named} recorded? This can't be undone.", yes=yes)
    with open_ledger(ledger) as client:
        answer = client.changes.for_tenant(ledger.tenant).reset(named, reason=why)
        run = changing.finish_run(client, answer, ledger.tenant)
    if as_json:
        print_json(run)
    else:
        say(f"Removed {run['result']['events']} events of tenant {named}.")
