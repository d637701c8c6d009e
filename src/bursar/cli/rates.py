"""`bursar rates`: exchange rates by day, entered one by one or imported from a file, listed, withdrawn.

A file is read here, so that what is wrong in it is said with its lines before anything is sent.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.options import examples

if TYPE_CHECKING:
    from bursar.pricing.exchange.rates import RateEntry

HELP = "Exchange rates, by which costs are told in one currency: add, import, list, withdraw."
PATH = "/api/v1/billing/exchange-rates"
COLUMNS = ("date", "base", "quote", "rate", "source", "shared", "recorded_at", "id")
RATES_AT_ONCE = 2_000
"""In one request: some 200 kB, and the ECB's whole history in 130 of them."""

app = typer.Typer(no_args_is_help=True)

Shared = Annotated[bool, typer.Option("--shared", help="For all tenants; only the operator may say so.")]
Source = Annotated[str, typer.Option(help="Who says so.")]


@app.command(
    "add",
    epilog=examples(
        "bursar rates add 2026-11-20 EUR USD 1.0850",
        "bursar rates add 2026-11-20 EUR USD 1.0850 --shared --source ECB",
    ),
)
@options.naming_ledger
def add_rate(
    day: Annotated[str, typer.Argument(metavar="DAY", help="The UTC day, such as 2026-11-20.")],
    base: Annotated[str, typer.Argument(metavar="BASE", help="One unit of it ...")],
    quote: Annotated[str, typer.Argument(metavar="QUOTE", help="... costs so much of it.")],
    rate: Annotated[str, typer.Argument(metavar="RATE", help="A decimal number.")],
    *,
    source: Source = "",
    shared: Shared = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Enter the rate of a day: one unit of BASE costs RATE of QUOTE; an earlier entry gives way to it."""
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_json

    body = {"date": day, "base": base, "quote": quote, "rate": rate, "source": source}
    with open_ledger(ledger) as client:
        done = client.request("POST", PATH, body=body, params=_params(ledger, shared=shared))
    if as_json:
        print_json(done)
    else:
        print("Entered." if done["added"] else "It was entered just so already.")


@app.command(
    "import",
    epilog=examples(
        "bursar rates import eurofxref-hist.csv --source ECB --shared",
        "bursar rates import our-rates.csv --base USD --tenant acme",
    ),
)
@options.naming_ledger
def import_rates(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A CSV file.")],
    *,
    base: Annotated[str, typer.Option(help="Of a file that has a column per currency.")] = "EUR",
    source: Source = "",
    shared: Shared = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Enter the rates of a CSV file; what is entered already stays as it is.

    The ECB's files work as they are: `Date,USD,JPY,...` with a column per currency. A file with the columns
    `date,base,quote,rate` (and `source`) has a rate per line.
    """
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_json

    entries = _read(file, base, source)
    done = {"added": 0, "unchanged": 0}
    with open_ledger(ledger) as client:
        for start in range(0, len(entries), RATES_AT_ONCE):
            body = {"rates": [_body_of(entry) for entry in entries[start : start + RATES_AT_ONCE]]}
            answer = client.request("POST", PATH, body=body, params=_params(ledger, shared=shared))
            done = {name: done[name] + answer[name] for name in done}
    if as_json:
        print_json(done)
    else:
        print(f"Entered {done['added']} rates; {done['unchanged']} were entered already.")


@app.command(
    "list",
    epilog=examples(
        "bursar rates list --currency USD --since 2026-11-01",
        "bursar rates list --withdrawn --json",
    ),
)
@options.naming_ledger
def list_rates(
    *,
    currency: Annotated[
        list[str] | None, typer.Option(help="Only rates from or to it; may be given several times.")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="DAY", help="The first day.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="The last day, included.")] = None,
    withdrawn: Annotated[bool, typer.Option("--withdrawn", help="Also those withdrawn or replaced.")] = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """List the rates that count for a tenant, the latest day first: its own and everybody's."""
    from bursar.cli.connection import open_ledger, whole_list
    from bursar.cli.printing import print_items

    chosen: dict[str, Any] = {"start_date": since, "end_date": until, "currency": currency}
    named = {name: value for name, value in chosen.items() if value}
    with open_ledger(ledger) as client:
        items = whole_list(client, PATH, {**ledger.params, **named, "withdrawn": withdrawn})
    print_items(items, COLUMNS, as_json=as_json)


@app.command("withdraw", epilog=examples('bursar rates withdraw fx_4f0c... --reason "a typo"'))
@options.naming_ledger
def withdraw_rate(
    rate_id: Annotated[str, typer.Argument(metavar="ID", help="As `bursar rates list` shows it.")],
    *,
    reason: Annotated[str, typer.Option(help="Why; it stays with the withdrawal for good.")],
    shared: Shared = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Let a rate not count any more; the one that it replaced counts again."""
    from bursar.cli.connection import open_ledger, path_of
    from bursar.cli.printing import print_json

    params = {**_params(ledger, shared=shared), "reason": reason}
    with open_ledger(ledger) as client:
        gone = client.request("DELETE", path_of(PATH, rate_id), params=params)
    if as_json:
        print_json(gone)
    else:
        print(f"Withdrew {gone['base']}/{gone['quote']} of {gone['date']} ({gone['rate']}).")


def _params(ledger: options.Ledger, *, shared: bool) -> dict[str, str]:
    return {**ledger.params, **({"shared": "true"} if shared else {})}


def _read(file: Path, base: str, source: str) -> list[RateEntry]:
    from bursar.cli.failures import CommandFailed
    from bursar.pricing.exchange.rate_files import read_rates

    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{file} is no UTF-8."
        raise CommandFailed(message) from error
    return read_rates(text, base, source)


def _body_of(entry: RateEntry) -> dict[str, str]:
    return {
        "date": entry.day.isoformat(),
        "base": entry.base,
        "quote": entry.quote,
        "rate": f"{entry.rate:f}",
        "source": entry.source,
    }
