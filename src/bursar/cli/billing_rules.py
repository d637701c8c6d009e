"""`bursar billing-rules`: what calls of services cost, recorded, listed, tried and withdrawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.failures import ExitCode
from bursar.cli.json_files import JsonFile, read_object
from bursar.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

HELP = "Billing rules of a tenant's services: add, list, try, withdraw."
PATH = "/api/v1/billing-rules"
COLUMNS = ("id", "service", "provider", "model", "kind", "charges", "currency", "from", "to", "withdrawn")

app = typer.Typer(no_args_is_help=True)


@app.command(
    epilog=examples(
        "bursar billing-rules add pages.json",
        'echo \'{"service_type": "document_processor", "unit": "pages", "rate": 0.01}\''
        " | bursar billing-rules add -",
    )
)
@options.naming_ledger
def add(file: JsonFile, *, ledger: options.Ledger, as_json: options.AsJson = False) -> None:
    """Record a billing rule; it counts at once, for events of its time.

    The file says `service_type`, what is charged (`kind`, `unit`, `rate` or `rates`, `tiers`, …), and as
    wanted `provider`, `model`, `currency`, `minimum_charge`, `valid_from`, `valid_to`.
    """
    from bursar.cli.connection import ask
    from bursar.cli.printing import print_json

    content, _ = read_object(file)
    made = ask(ledger, "POST", PATH, content)
    if as_json:
        print_json(made)
    else:
        print(f"Recorded {made['id']} for {made['service_type']}.")


@app.command(
    "list",
    epilog=examples("bursar billing-rules list", "bursar billing-rules list --service-type ocr --withdrawn"),
)
@options.naming_ledger
def list_rules(
    *,
    service_type: Annotated[str | None, typer.Option(help="Only rules for this service.")] = None,
    withdrawn: Annotated[bool, typer.Option("--withdrawn", help="Withdrawn ones as well.")] = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """List billing rules in the order of recording; those in registrations stand with their service."""
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_items

    params: dict[str, Any] = {**ledger.params, "withdrawn": withdrawn}
    if service_type is not None:
        params["service_type"] = service_type
    with open_ledger(ledger) as client:
        items = client.request("GET", PATH, params=params)["items"]
    print_items(items if as_json else [_row(item) for item in items], COLUMNS, as_json=as_json)


@app.command(epilog=examples("bursar billing-rules withdraw rul_4f0c"))
@options.naming_ledger
def withdraw(
    rule_id: Annotated[str, typer.Argument(metavar="ID")],
    *,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Let a rule count no more, whatever an event's time; what it has rated keeps its cost."""
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import print_json

    done = ask(ledger, "DELETE", path_of(PATH, rule_id))
    if as_json:
        print_json(done)
    else:
        print(f"Withdrew {done['id']}.")


@app.command(
    "try",
    epilog=examples(
        "bursar billing-rules try event.json",
        "bursar billing-rules try event.json --rule pages.json --json",
    ),
)
@options.naming_ledger
def try_rule(
    file: JsonFile,
    *,
    rule: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A rule to try instead of the tenant's own.")
    ] = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Say what an event would cost by the rules in force, or by one that is only tried; nothing is kept.

    Exits with 1 where the event would be refused.
    """
    from bursar.cli.connection import ask
    from bursar.cli.printing import print_json

    body = b'{"event":' + read_object(file)[0]
    if rule is not None:
        body += b',"rule":' + read_object(rule)[0]
    found = ask(ledger, "POST", f"{PATH}/try", body + b"}")["event"]
    if as_json:
        print_json(found)
    else:
        _show_trial(found)
    if found["errors"]:
        raise typer.Exit(ExitCode.FAILED)


def _show_trial(found: Mapping[str, Any]) -> None:
    from bursar.cli.printing import print_table, say

    for error in found["errors"]:
        say(f"{error['field']}: {error['message']}")
    explained = found["explanation"]
    if explained is None:
        return
    lines = [(line["unit"], line["quantity"], line["rate"], line["amount"]) for line in explained["lines"]]
    if lines:
        print_table(("unit", "quantity", "rate", "amount"), lines, numbers=("quantity", "amount"))
    if explained["total"] is None:
        print(f"Its cost isn't known: {explained['reason']}.")
        return
    card = explained["card"]
    by = f" by {card['book_version']} ({card['rule']})" if card else f" ({explained['status']})"
    print(f"{explained['total']} {explained['currency']}{by}.")


def _row(item: Mapping[str, Any]) -> dict[str, Any]:
    billing = item["billing"]
    return {
        "id": item["id"],
        "service": item["service_type"],
        "provider": item["provider"],
        "model": item["model"],
        "kind": billing["kind"],
        "charges": _charges(billing),
        "currency": item["currency"],
        "from": item["valid_from"],
        "to": item["valid_to"],
        "withdrawn": item["withdrawn_at"],
    }


def _charges(billing: Mapping[str, Any]) -> str:
    """What a rule charges in a few words."""
    if "parts" in billing:
        return " + ".join(_charges(part) for part in billing["parts"])
    if "expression" in billing:
        return str(billing["expression"])
    rates: dict[str, str] = billing.get("rates") or {}
    tiers = [f"{tier['rate']} to {tier.get('up_to', 'the end')}" for tier in billing.get("tiers", ())]
    shown = ", ".join(tiers or [f"{name} {rate}" for name, rate in rates.items()])
    return f"{billing['unit']}: {shown}" if "unit" in billing else shown
