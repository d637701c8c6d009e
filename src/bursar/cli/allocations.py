"""`bursar allocations`: who owns keys, projects and users and which cost centre bears them, since when."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.options import examples

HELP = "Owners and cost centres of projects, users and API keys: set, list, withdraw."
UNALLOCATED_EXAMPLES = examples(
    "bursar unallocated",
    "bursar unallocated --window last_month --limit 5",
    "bursar unallocated --dimension owner --json",
)
PATH = "/api/v1/allocations"
COLUMNS = ("id", "kind", "subject", "valid_from", "valid_to", "cost_centre", "owner", "reason")
HISTORY_COLUMNS = (*COLUMNS, "created_at", "created_by", "replaced_at", "replaced_by")
NOBODY = "none"
ALWAYS = "always"
_FIRST_DAY = "1970-01-01"

app = typer.Typer(no_args_is_help=True)

Project = Annotated[str | None, typer.Option(metavar="ID", help="A project, as events name it.")]
User = Annotated[str | None, typer.Option(metavar="ID", help="A user, as events name them.")]
ApiKey = Annotated[str | None, typer.Option("--api-key", metavar="ID", help="An API key, by its id.")]
CostCentre = Annotated[str | None, typer.Option("--cost-centre", metavar="NAME")]
Owner = Annotated[str | None, typer.Option("--owner", metavar="NAME")]

NewCostCentre = Annotated[
    str | None,
    typer.Option("--cost-centre", metavar="NAME", help="Which bears it from then on; `none` for none."),
]
NewOwner = Annotated[
    str | None, typer.Option("--owner", metavar="NAME", help="Who owns it from then on; `none` for none.")
]
FirstDay = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="DAY", help="The first UTC day, maybe a past one, or `always`. [default: today]"
    ),
]


@app.command(
    "set",
    epilog=examples(
        "bursar allocations set --project search --cost-centre CC-4711 --owner ana --from always",
        "bursar allocations set --project search --cost-centre CC-9 --from 2026-06-15 --reason moved",
        "bursar allocations set --user ben --cost-centre CC-12 --from 2026-01-01",
        "bursar allocations set --project search --cost-centre none --from 2026-12-01",
    ),
)
@options.naming_ledger
def set_allocation(
    *,
    project: Project = None,
    user: User = None,
    api_key: ApiKey = None,
    cost_centre: NewCostCentre = None,
    owner: NewOwner = None,
    valid_from: FirstDay = None,
    reason: Annotated[str | None, typer.Option(help="Why; kept with it.")] = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Say who owns a project, user or key, and which cost centre bears it, from a day on.

    What isn't named stays as it is. One for the same day takes the other's place; both stay in the history.
    An API key's own allocation goes before its project's, and that before its user's.
    """
    from bursar.cli.connection import ask
    from bursar.cli.printing import print_json

    kind, subject = _one_of(project, user, api_key)
    body: dict[str, Any] = {"kind": kind, "subject": subject, "reason": reason}
    for name, value in (("cost_centre", cost_centre), ("owner", owner)):
        if value is not None:
            body[name] = None if value == NOBODY else value
    if valid_from is not None:
        body["valid_from"] = _FIRST_DAY if valid_from == ALWAYS else valid_from
    made = ask(ledger, "POST", PATH, body)
    if as_json:
        print_json(made)
        return
    until = f" to {made['valid_to']}" if made["valid_to"] else " on"
    print(
        f"{made['id']}: from {made['valid_from']}{until}, {kind} {subject} is borne by"
        f" {made['cost_centre'] or 'no cost centre'} and owned by {made['owner'] or 'nobody'}."
    )


@app.command(
    "list",
    epilog=examples(
        "bursar allocations list",
        "bursar allocations list --project search --history",
        "bursar allocations list --on 2026-05-31 --cost-centre CC-4711",
        "bursar allocations list --known-at 2026-06-01T00:00:00Z",
    ),
)
@options.naming_ledger
def list_allocations(
    *,
    project: Project = None,
    user: User = None,
    api_key: ApiKey = None,
    cost_centre: CostCentre = None,
    owner: Owner = None,
    on: Annotated[
        str | None, typer.Option(metavar="DAY", help="Only those that hold on this UTC day.")
    ] = None,
    known_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="What was believed at this moment, instead of now.")
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Those too that aren't believed any more, and who said so.")
    ] = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """List who owns and bears what, and from when to when."""
    from bursar.cli.connection import open_ledger, whole_list
    from bursar.cli.printing import print_items

    asked: dict[str, str | None] = {
        "cost_centre": cost_centre,
        "owner": owner,
        "on": on,
        "known_at": known_at,
        "replaced": "true" if history else None,
        **ledger.params,
    }
    if project or user or api_key:
        asked["kind"], asked["subject"] = _one_of(project, user, api_key)
    with open_ledger(ledger) as client:
        items = whole_list(client, PATH, {name: value for name, value in asked.items() if value is not None})
    print_items(items, HISTORY_COLUMNS if history else COLUMNS, as_json=as_json)


@app.command("withdraw", epilog=examples("bursar allocations withdraw alc_4f0c"))
@options.naming_ledger
def withdraw_allocation(
    allocation_id: Annotated[str, typer.Argument(metavar="ID")],
    *,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Believe an allocation no more: what held before its day holds on. It stays in the history."""
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import print_json

    withdrawn = ask(ledger, "DELETE", path_of(PATH, allocation_id))
    if as_json:
        print_json(withdrawn)
    else:
        print(f"Withdrawn: {withdrawn['id']}.")


@options.naming_ledger
def unallocated(
    *,
    window: Annotated[str, typer.Option(help="When it was, as for `bursar query`.")] = "30d",
    dimension: Annotated[str, typer.Option(help="cost_centre or owner.")] = "cost_centre",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many of each.")] = 10,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Show what no cost centre bears: which share of the spend, and whose it is, the most first.

    `bursar allocations set` gives a project, user or key one.
    """
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_json, print_table

    asked = {"window": window, "dimension": dimension, "limit": limit, **ledger.params}
    with open_ledger(ledger) as client:
        found = client.request("GET", "/api/v1/unallocated", params=asked)
    if as_json:
        print_json(found)
        return
    events = f"{found['unallocated_events']:,} of {found['events']:,} events"
    print(f"Unallocated by {dimension}: {events}{_percent(found['share_of_events'])}")
    for one in found["amounts"]:
        spent = f"{one['unallocated'] or 'unknown'} of {one['total'] or 'unknown'} {one['currency']}"
        print(f"  {spent}{_percent(one['share'])}")
    for name in ("projects", "users", "keys"):
        if found[name]:
            rows = [[one["id"], one["cost"], one["currency"], one["events"]] for one in found[name]]
            print_table((name, "cost", "currency", "events"), rows, numbers=("cost", "events"))


def _one_of(project: str | None, user: str | None, api_key: str | None) -> tuple[str, str]:
    """Kind and id of what is named.

    Raises:
        BadParameter: none is, or several are.
    """
    given = {"project": project, "user": user, "key": api_key}
    named = [(kind, value) for kind, value in given.items() if value is not None]
    if len(named) != 1:
        message = "name one of --project, --user and --api-key"
        raise typer.BadParameter(message)
    return named[0]


def _percent(share: str | None) -> str:
    from decimal import Decimal

    return "" if share is None else f" ({Decimal(share) * 100:.1f} %)"
