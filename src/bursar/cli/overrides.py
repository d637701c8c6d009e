"""`bursar prices override`: prices that a tenant agreed on, with dates: add, list, withdraw.

Nothing is changed once it is agreed on: it is withdrawn, and something else is agreed on. What was
recorded before keeps its cost until it is re-priced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HELP = "Prices agreed on: contracts, discounts, markups, multipliers, fees; add, list, withdraw."
PATH = "/api/v1/prices"
OVERRIDES = "/api/v1/prices/overrides"
COLUMNS = ("id", "kind", "what", "provider", "model", "project_id", "valid_from", "valid_to", "note")
NUMBERS = {"discount": "percent", "markup": "percent", "multiplier": "factor", "fee": "amount"}
"""Which number of an override the command's NUMBER is."""

app = typer.Typer(no_args_is_help=True)

Kind = Annotated[str, typer.Argument(metavar="KIND", help="contract, discount, markup, multiplier or fee.")]
Number = Annotated[
    str | None,
    typer.Argument(
        metavar="[NUMBER]", help="Percent of a discount or markup, factor of a multiplier, amount of a fee."
    ),
]
From = Annotated[
    str, typer.Option("--from", metavar="TIME", help="The first moment or UTC day; may be in the past.")
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="The first moment or day that it doesn't hold.")
]
Provider = Annotated[str | None, typer.Option(help="Only this provider.")]
Model = Annotated[str | None, typer.Option(help="Only these models; `*` stands for any text.")]
Project = Annotated[str | None, typer.Option(help="Only usage of this project.")]
Price = Annotated[
    list[str] | None,
    typer.Option(
        "--price", metavar="UNIT=PRICE", help="Of a contract, e.g. input_tokens=1.10 for 1M; several times."
    ),
]
Currency = Annotated[str, typer.Option(help="Of a contract or fee.")]
When = Annotated[
    list[str] | None,
    typer.Option(
        "--when",
        metavar="NAME=VALUE",
        help="A contract's condition: service_tier, batch, speed, region, context_over, context_upto,"
        " hours=16:30-00:30 or weekdays=sat,sun; several times.",
    ),
]
Note = Annotated[str, typer.Option(help="A remark; kept with it.")]
Reason = Annotated[str, typer.Option(help="Why; it stays with the withdrawal for good.")]
OneProject = Annotated[str | None, typer.Option(help="Only those of this project.")]
Withdrawn = Annotated[bool, typer.Option("--withdrawn", help="Also those that are withdrawn.")]


@app.command(
    "add",
    epilog=examples(
        "bursar prices override add discount 12 --provider openai --from 2026-11-01",
        "bursar prices override add contract --provider openai --model 'gpt-4o*' --from 2026-11-01"
        " --price input_tokens=2.00 --price output_tokens=8.00",
        "bursar prices override add fee 0.001 --project support --from 2026-11-01 --until 2027-01-01",
    ),
)
@options.naming_ledger
def add_override(
    kind: Kind,
    number: Number = None,
    *,
    valid_from: From,
    valid_to: Until = None,
    provider: Provider = None,
    model: Model = None,
    project: Project = None,
    price: Price = None,
    currency: Currency = "USD",
    when: When = None,
    note: Note = "",
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Agree on prices; usage that is recorded from now on is rated by them at once."""
    from bursar.cli.connection import ask

    said = {"provider": provider, "model": model, "project_id": project, "valid_to": moment(valid_to)}
    body: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    body |= {"kind": kind, "valid_from": moment(valid_from), "currency": currency, "note": note}
    if number is not None:
        body[NUMBERS.get(kind, "amount")] = number
    if price:
        body["prices"] = dict(_pair(one, "--price") for one in price)
    body |= dict(_condition(*_pair(one, "--when")) for one in when or ())
    added = ask(ledger, "POST", PATH, body)
    print_one(f"Agreed on {added['id']}: {what_of(added)}.", added, as_json=as_json)


@app.command(
    "list", epilog=examples("bursar prices override list", "bursar prices override list --withdrawn --json")
)
@options.naming_ledger
def list_overrides(
    *,
    kind: Annotated[str | None, typer.Option(help="Only those of this kind.")] = None,
    project: OneProject = None,
    withdrawn: Withdrawn = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """List what a tenant agreed on, in the order recorded."""
    named = {} if kind is None else {"kind": kind}
    items = items_of(ledger, OVERRIDES, project, named, withdrawn=withdrawn)
    print_records([{**one, "what": what_of(one)} for one in items], COLUMNS, items, as_json=as_json)


@app.command(
    "withdraw", epilog=examples('bursar prices override withdraw ovr_4f0c... --reason "renegotiated"')
)
@options.naming_ledger
def withdraw_override(
    override_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")],
    *,
    reason: Reason,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Withdraw what was agreed on: usage recorded from now on is rated without it."""
    gone = withdraw(ledger, OVERRIDES, override_id, reason)
    print_one(f"Withdrew {gone['id']}: {what_of(gone)}.", gone, as_json=as_json)


def items_of(
    ledger: options.Ledger, path: str, project: str | None, named: Mapping[str, str], *, withdrawn: bool
) -> list[dict[str, Any]]:
    """All records of a list of agreements."""
    from bursar.cli.connection import open_ledger, whole_list

    chosen = {} if project is None else {"project_id": project}
    with open_ledger(ledger) as client:
        return whole_list(client, path, {**ledger.params, **chosen, **named, "withdrawn": withdrawn})


def print_records(
    rows: Sequence[Mapping[str, Any]],
    columns: tuple[str, ...],
    items: Sequence[Mapping[str, Any]],
    *,
    as_json: bool,
) -> None:
    """Records as a table, with a column about withdrawals where there are any; or as they are, as JSON."""
    from bursar.cli.printing import print_items

    if any(one["withdrawn"] for one in items):
        columns = (*columns, "withdrawn")
        rows = [{**one, "withdrawn": one["withdrawn"] and one["withdrawn"]["reason"]} for one in rows]
    print_items(items if as_json else rows, columns, as_json=as_json)


def withdraw(ledger: options.Ledger, path: str, record_id: str, reason: str) -> Mapping[str, Any]:
    """Withdraw a record; the record as it is then."""
    from bursar.cli.connection import open_ledger, path_of

    with open_ledger(ledger) as client:
        return client.request("DELETE", path_of(path, record_id), params={**ledger.params, "reason": reason})


def moment(text: str | None) -> str | None:
    """A moment as the API takes it: a bare day is its beginning in UTC."""
    import re

    return f"{text}T00:00:00Z" if text and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else text


def what_of(item: Mapping[str, Any]) -> str:
    """What an override does, in a few words."""
    kind = str(item["kind"])
    if kind in {"discount", "markup"}:
        return f"{kind} of {item['percent']} %"
    if kind == "multiplier":
        return f"times {item['factor']}"
    if kind == "fee":
        return f"{item['amount']} {item['currency']} a request"
    prices: Mapping[str, Mapping[str, Any]] = item["prices"]
    listed = (f"{unit} {one['price']} per {one['per']:,}" for unit, one in prices.items())
    return f"{item['currency']}: {', '.join(listed)}"


def print_one(words: str, item: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what became of a record: in words, with what else to know of it on stderr; or as JSON."""
    from bursar.cli.printing import print_json, say

    if as_json:
        print_json(item)
        return
    print(words)
    for warning in item.get("warnings", ()):
        say(f"Warning: {warning['message']}")
    _print_recorded(item)


def _print_recorded(item: Mapping[str, Any]) -> None:
    """Say on stderr what was recorded before, and how it is rated again."""
    from bursar.cli.printing import say

    recorded = item["recorded"]
    if recorded["events"] is not None:
        say(f"Events recorded before that fall under it: {recorded['events']}.")
    if recorded["events"] != 0:
        say(recorded["advice"])


def _pair(text: str, option: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        message = f"'{text}' is no NAME=VALUE"
        raise typer.BadParameter(message, param_hint=option)
    return name.strip(), value.strip()


def _condition(name: str, value: str) -> tuple[str, Any]:
    """A condition as JSON has it; what isn't understood is left to the server to refuse."""
    if name == "batch":
        return name, value.lower() in {"true", "yes", "1"}
    if name == "weekdays":
        return name, [day.strip().lower() for day in value.split(",")]
    if name in {"context_over", "context_upto"} and value.isdecimal():
        return name, int(value)
    return name, value
