"""`bursar seats`: seats that are paid by the month, of which each day is recorded with its share."""

from __future__ import annotations

from typing import Annotated

import typer

from bursar.cli import options
from bursar.cli.options import examples

HELP = "Seats that are paid by the month: add, list, end."
PATH = "/api/v1/billing/seats"
COLUMNS = (
    "id",
    "provider",
    "plan",
    "seats",
    "price_per_seat",
    "currency",
    "starts",
    "ends",
    "recorded_until",
)

app = typer.Typer(no_args_is_help=True)


@app.command(
    "add",
    epilog=examples(
        "bursar seats add --provider anthropic --plan Team --seats 12 --price 25 --starts 2026-11-01",
    ),
)
@options.naming_ledger
def add_seats(
    *,
    provider: Annotated[str, typer.Option(help="Who is paid.")],
    plan: Annotated[str, typer.Option(help="What the provider calls it.")],
    number: Annotated[int, typer.Option("--seats", help="How many.")],
    price: Annotated[str, typer.Option(help="Of one seat for one month, a decimal number.")],
    starts: Annotated[str, typer.Option(metavar="DAY", help="The first UTC day; may be in the past.")],
    ends: Annotated[
        str | None, typer.Option(metavar="DAY", help="The first UTC day that isn't paid any more.")
    ] = None,
    currency: Annotated[str, typer.Option(help="ISO 4217 code.")] = "USD",
    project: Annotated[str | None, typer.Option(help="The project that it is for.")] = None,
    note: Annotated[str | None, typer.Option(help="A remark; kept with it.")] = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Add seats that are paid by the month; each day is recorded with its share of the price."""
    from bursar.cli.connection import ask
    from bursar.cli.printing import print_json

    body = {
        "provider": provider,
        "plan": plan,
        "seats": number,
        "price_per_seat": price,
        "currency": currency,
        "project_id": project,
        "starts": starts,
        "ends": ends,
        "note": note,
    }
    made = ask(ledger, "POST", PATH, body)
    if as_json:
        print_json(made)
    else:
        until = made["recorded_until"]
        print(f"Added {made['id']}; " + (f"recorded until {until}." if until else "it has not begun yet."))


@app.command("list", epilog=examples("bursar seats list", "bursar seats list --json"))
@options.naming_ledger
def list_seats(
    *,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """List a tenant's seat plans."""
    from bursar.cli.connection import ask_list
    from bursar.cli.printing import print_items

    items = ask_list(ledger, PATH)
    print_items(items, COLUMNS, as_json=as_json)


@app.command("end", epilog=examples("bursar seats end seat_4f0c --ends 2026-12-01"))
@options.naming_ledger
def end_seats(
    plan_id: Annotated[str, typer.Argument(metavar="ID")],
    *,
    ends: Annotated[
        str | None,
        typer.Option(
            metavar="DAY",
            help="The first UTC day that isn't paid any more; if absent tomorrow, or the day it starts.",
        ),
    ] = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Let seats end; days that are recorded stay."""
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import print_json

    ended = ask(ledger, "POST", f"{path_of(PATH, plan_id)}/end", {"ends": ends})
    if as_json:
        print_json(ended)
    else:
        print(f"{ended['id']} ends on {ended['ends']}.")
