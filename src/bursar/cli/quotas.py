"""`bursar quotas`: what a tenant may record in a month, what it may cost, and how much of that is used."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from bursar.cli import options
from bursar.cli.options import examples

HELP = "Quotas of tenants on events and cost per month: list, set, remove."
COLUMNS = ("measure", "enforcement", "limit", "currency", "used", "left", "share", "state", "unpriced_events")
NUMBERS = ("limit", "used", "left", "share", "unpriced_events")
PATH = "/api/v1/quotas"


# As words of the command line; importing those of `usage` would cost time at every start.
class On(StrEnum):
    """What a quota counts."""

    EVENTS = "events"
    COST = "cost"


app = typer.Typer(no_args_is_help=True)

Measure = Annotated[On, typer.Argument(metavar="MEASURE", help="`events` or `cost`.")]


@app.command(
    "list", epilog=examples("bursar quotas list", "bursar quotas list --tenant acme --month 2026-10 --json")
)
@options.naming_ledger
def list_quotas(
    *,
    month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Of UTC; the present one if absent.")
    ] = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Show a tenant's quotas and how much of each is used in a month."""
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_json, print_table

    params = ledger.params if month is None else {**ledger.params, "month": month}
    with open_ledger(ledger) as client:
        found = client.request("GET", PATH, params=params)
    if as_json:
        print_json(found)
        return
    if not found["items"]:
        print(f"Tenant {found['tenant_id']} has no quotas.")
        return
    rows = [["" if one[name] is None else str(one[name]) for name in COLUMNS] for one in found["items"]]
    title = f"Tenant {found['tenant_id']}, {found['month']} (resets at {found['resets_at']})"
    print_table(COLUMNS, rows, title=title, numbers=NUMBERS)
    for one in found["items"]:
        for currency, amount in one["not_counted"].items():
            print(f"Not counted: {amount} {currency}, for the quota is in {one['currency']}.")


@app.command(
    "set",
    epilog=examples(
        "bursar quotas set events 1000000 --tenant acme",
        "bursar quotas set cost 2500 --currency EUR --soft --tenant acme",
    ),
)
@options.naming_ledger
def set_quota(
    measure: Measure,
    limit: Annotated[str, typer.Argument(metavar="LIMIT", help="Events, or an amount of money.")],
    *,
    soft: Annotated[
        bool, typer.Option("--soft", help="Only tell that it was reached; refuse nothing.")
    ] = False,
    currency: Annotated[
        str | None,
        typer.Option(help="Of a cost; the tenant's reporting currency or else USD if absent."),
    ] = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Set a tenant's quota for every month of UTC. At the limit new events are refused by name.

    It takes the place of the tenant's quota on the same measure, and counts within 5 seconds.
    """
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import print_items

    body = {"limit": limit, "enforcement": "soft" if soft else "hard", "currency": currency}
    made = ask(ledger, "PUT", path_of(PATH, measure.value), body)
    print_items([made], COLUMNS, as_json=as_json)


@app.command(epilog=examples("bursar quotas remove events --tenant acme"))
@options.naming_ledger
def remove(measure: Measure, *, ledger: options.Ledger) -> None:
    """Remove a tenant's quota."""
    from bursar.cli.connection import ask, path_of

    ask(ledger, "DELETE", path_of(PATH, measure.value))
    print(f"Removed the quota on {measure.value}.")
