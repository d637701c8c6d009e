"""`bursar quotas`: what a tenant or a project may record in a month, what it may cost, and what is used."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

HELP = "Quotas of tenants and projects on events and cost per month: list, set, remove."
COLUMNS = ("measure", "enforcement", "limit", "currency", "used", "left", "share", "state", "unpriced_events")
NUMBERS = ("limit", "used", "left", "share", "unpriced_events")
PATH = "/api/v1/quotas"
PROJECTS = "/api/v1/projects"


# As words of the command line; importing those of `usage` would cost time at every start.
class On(StrEnum):
    """What a quota counts."""

    EVENTS = "events"
    COST = "cost"


app = typer.Typer(no_args_is_help=True)

Measure = Annotated[On, typer.Argument(metavar="MEASURE", help="`events` or `cost`.")]
Project = Annotated[
    str | None,
    typer.Option("--project", metavar="ID", help="Of one project instead of the whole tenant."),
]


@app.command(
    "list",
    epilog=examples(
        "bursar quotas list",
        "bursar quotas list --tenant acme --month 2026-10 --json",
        "bursar quotas list --project search",
    ),
)
@options.naming_ledger
def list_quotas(
    *,
    month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Of UTC; the present one if absent.")
    ] = None,
    project: Project = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Show the quotas of a tenant, or of a project, and how much of each is used in a month."""
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_json, print_table

    params = ledger.params if month is None else {**ledger.params, "month": month}
    with open_ledger(ledger) as client:
        found = client.request("GET", _path(project), params=params)
    if as_json:
        print_json(found)
        return
    if not found["items"]:
        print(f"{_owner(found)} has no quotas.")
        return
    rows = [["" if one[name] is None else str(one[name]) for name in COLUMNS] for one in found["items"]]
    title = f"{_owner(found)}, {found['month']} (resets at {found['resets_at']})"
    print_table(COLUMNS, rows, title=title, numbers=NUMBERS)
    for one in found["items"]:
        for currency, amount in one["not_counted"].items():
            print(f"Not counted: {amount} {currency}, for the quota is in {one['currency']}.")


@app.command(
    "set",
    epilog=examples(
        "bursar quotas set events 1000000 --tenant acme",
        "bursar quotas set cost 2500 --currency EUR --soft --tenant acme",
        "bursar quotas set events 50000 --project search",
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
    project: Project = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Set a quota of a tenant, or of a project, for every month of UTC.

    At the limit new events are refused by name. It takes the place of the one on the same measure, and counts
    within 5 seconds. An event needs room in its project's quotas and in its tenant's, which only the
    operator sets.
    """
    from bursar.cli.connection import ask
    from bursar.cli.printing import print_items

    body = {"limit": limit, "enforcement": "soft" if soft else "hard", "currency": currency}
    made = ask(ledger, "PUT", _path(project, measure), body)
    print_items([made], COLUMNS, as_json=as_json)


@app.command(
    epilog=examples("bursar quotas remove events --tenant acme", "bursar quotas remove cost --project search")
)
@options.naming_ledger
def remove(measure: Measure, *, project: Project = None, ledger: options.Ledger) -> None:
    """Remove a quota of a tenant, or of a project."""
    from bursar.cli.connection import ask

    ask(ledger, "DELETE", _path(project, measure))
    print(f"Removed the quota on {measure.value}.")


def _path(project: str | None, measure: On | None = None) -> str:
    from bursar.cli.connection import path_of

    path = PATH if project is None else f"{path_of(PROJECTS, project)}/quotas"
    return path if measure is None else path_of(path, measure.value)


def _owner(found: Mapping[str, Any]) -> str:
    project, tenant = found["project_id"], found["tenant_id"]
    return f"Tenant {tenant}" if project is None else f"Project {project} of tenant {tenant}"
