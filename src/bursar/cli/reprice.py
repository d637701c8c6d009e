"""`bursar reprice`: rates what is recorded again by the prices of now, after showing what that changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import changing, options
from bursar.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar_client import BursarClient

EXAMPLES = examples(
    "bursar reprice --model o3 --from 2025-06-10 --dry-run",
    "bursar reprice --model o3 --from 2025-06-10 --reason 'o3 got cheaper on the 10th of June'",
    "bursar reprice --filter cost_status=unpriced --window 90d --reason 'new models have prices now' --yes",
    "bursar reprice --tenant acme --window this_month --reason 'we negotiated 12 %'",
)
MODELS_SHOWN = 20
SAMPLE_SHOWN = 5


_Start = Annotated[
    str | None, typer.Option("--from", metavar="WHEN", help="The first moment or day that counts.")
]
_End = Annotated[str | None, typer.Option("--to", metavar="WHEN", help="The moment or day behind the last.")]
_Window = Annotated[str | None, typer.Option(help="When they happened, as for `bursar query`.")]
_Models = Annotated[
    list[str] | None, typer.Option("--model", metavar="MODEL", help="Only this model; may be repeated.")
]
_Where = Annotated[
    list[str] | None,
    typer.Option("--filter", metavar="NAME=VALUE", help="Only events like this, as for `bursar query`."),
]


@options.naming_ledger
def reprice(
    *,
    start: _Start = None,
    end: _End = None,
    window: _Window = None,
    models: _Models = None,
    where: _Where = None,
    reason: changing.Reason = None,
    dry_run: changing.DryRun = False,
    yes: changing.Yes = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Rate events again, each at its own time, by the prices, contracts and rules of now.

    Shows the difference by currency and by model and asks before it goes on. Totals follow at once, all
    together; what an event cost before stays readable: `bursar explain ID`. Events that come in after
    the look are left alone.
    """
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_json, say

    asked = _asked(start, end, window, models, where)
    changing.need_reason(reason, dry_run=dry_run)
    with open_ledger(ledger) as client:
        done = seen = _run(client, asked, reason, ledger.tenant, dry_run=True)
        if not as_json and seen["events"]:
            show_changes(seen)
        if not dry_run and seen["changed"]:
            changing.confirm(f"Rate these {seen['changed']:,} events anew?", yes=yes)
            same = {**asked, "up_to_event": seen["up_to_event"]}
            done = _run(client, same, reason, ledger.tenant, dry_run=False)
    if as_json:
        print_json(done)
    elif not done["changed"]:
        say("No event costs anything else by the prices of now.")
    elif not dry_run:
        say(f"Events rated anew: {done['applied']:,}.")


def show_changes(seen: Mapping[str, Any]) -> None:
    """What rating again changes, in all, by model, and a few events."""
    from bursar.cli.printing import print_table

    rows: list[tuple[str, object]] = [
        ("events", seen["events"]),
        ("cost something else, or for another reason", seen["changed"]),
        ("had no price and get one", seen["becomes_priced"]),
        ("had a price and lose it", seen["becomes_unpriced"]),
        ("without a price afterwards", seen["unpriced_after"]),
        *((f"keep their cost: {why}", events) for why, events in seen.get("kept", {}).items()),
    ]
    print_table(("rated by the prices of now", ""), rows, numbers=("",))
    columns = ("currency", "before", "after", "difference")
    cost = [tuple(one[name] for name in columns) for one in seen["cost"]]
    if cost:
        print_table(columns, cost, numbers=columns[1:])
    models = [
        (one["provider"], one["model"], one["changed"], *(cost[name] for name in columns))
        for one in seen["models"][:MODELS_SHOWN]
        for cost in one["cost"] or [dict.fromkeys(columns)]
        if one["changed"]
    ]
    if models:
        print_table(("provider", "model", "changed", *columns), models, numbers=("changed", *columns[1:]))
    sample = [
        (one["event_id"], one["model"], _cost(one["before"]), _cost(one["after"]))
        for one in seen["sample"][:SAMPLE_SHOWN]
    ]
    if sample:
        print_table(("for example", "model", "before", "after"), sample)


def _cost(one: Mapping[str, Any]) -> str:
    return f"unpriced: {one['reason']}" if one["total"] is None else f"{one['total']} {one['currency']}"


def _asked(
    start: str | None,
    end: str | None,
    window: str | None,
    models: list[str] | None,
    where: list[str] | None,
) -> dict[str, Any]:
    from bursar.cli.query import read_filters

    if window and (start or end):
        message = "Name the window with --window, or with --from and --to."
        raise typer.BadParameter(message)
    filters = read_filters(where or [])
    if models:
        filters.setdefault("model", {}).setdefault("in", []).extend(models)
    named = {"window": window, "start": start, "end": end, "filters": filters}
    return {name: value for name, value in named.items() if value}


def _run(
    client: BursarClient, asked: dict[str, Any], reason: str | None, tenant: str | None, *, dry_run: bool
) -> Mapping[str, Any]:
    """The result of a run once it has ended; that of nothing where nothing is selected."""
    answer = client.changes.for_tenant(tenant).reprice(dry_run=dry_run, reason=reason or None, **asked)
    if answer["run"] is None:
        return {"events": 0, "changed": 0, "applied": 0}
    return changing.finish_run(client, answer, tenant)["result"]
