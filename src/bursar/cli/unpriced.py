"""`bursar unpriced`: models whose usage has no known cost, and what would give it one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.options import examples

EXAMPLES = examples(
    "bursar unpriced",
    "bursar unpriced --window 7d --limit 5",
    "bursar unpriced --model gpt-5.9-preview --as openai/gpt-5",
)
PATH = "/api/v1/unpriced"


@options.naming_ledger
def unpriced(
    *,
    window: Annotated[
        str | None, typer.Option(help="When they happened, as for `bursar query`; always, if absent.")
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option("--model", metavar="MODEL", help="Only this model; may be repeated.")
    ] = None,
    rate_as: Annotated[
        str | None,
        typer.Option("--as", metavar="PROVIDER/MODEL", help="Say what they would cost as calls of this one."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many models.")] = 20,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """List models without a price: why, since when, how much of them, and which known ones are like them.

    Once there is a price, an alias or an override, `bursar reprice --filter cost_status=unpriced` rates
    what is recorded.
    """
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_json, print_table, say

    asked = {"window": window, "model": models, "as": rate_as, "limit": limit, "tenant_id": ledger.tenant}
    with open_ledger(ledger) as client:
        found = client.request("GET", PATH, params={name: one for name, one in asked.items() if one})
    if as_json:
        print_json(found)
        return
    columns = ("provider", "model", "reason", "events", "first seen", "last seen", "nearest known")
    also = ("would cost",) if rate_as else ()
    rows = [(*_row(one), *([_would(one)] if rate_as else [])) for one in found["items"]]
    if not rows:
        say("Everything that is selected has a price.")
        return
    print_table((*columns, *also), rows, numbers=("events",))
    if found["next_cursor"]:
        say(f"There are more than these {limit}; name a larger --limit.")


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    nearest = ", ".join(f"{near['provider']}/{near['model']}" for near in one["nearest"])
    return (
        one["provider"],
        one["model"],
        one["reason"],
        one["events"],
        one["first_seen"],
        one["last_seen"],
        nearest,
    )


def _would(one: dict[str, Any]) -> str:
    would: dict[str, Any] = one["would_be"] or {"cost": [], "reasons": []}
    costs = [f"{cost['amount']} {cost['currency']}" for cost in would["cost"]]
    return ", ".join([*costs, *(f"unpriced: {reason}" for reason in would["reasons"])])
