"""`bursar billing`: what months come to, closing them, and what the current one may come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HELP = "What months come to: list, show, finalise, estimate."
SUMMARIES = "/api/v1/billing/summaries"
ESTIMATE = "/api/v1/billing/estimate"

app = typer.Typer(no_args_is_help=True)

MonthName = Annotated[str, typer.Argument(metavar="MONTH", help="Such as 2026-10.")]


@app.command("list", epilog=examples("bursar billing list", "bursar billing list --tenant acme --json"))
@options.naming_ledger
def list_months(
    *,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """List what each month comes to, the latest first."""
    from bursar.cli.connection import ask_list
    from bursar.cli.printing import print_json

    items = ask_list(ledger, SUMMARIES)
    if as_json:
        print_json(items)
    else:
        _print_months(items)


@app.command(epilog=examples("bursar billing show 2026-10", "bursar billing show 2026-10 --json"))
@options.naming_ledger
def show(
    month: MonthName,
    *,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Show one month line by line, with its corrections of earlier months."""
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import print_json

    found = ask(ledger, "GET", path_of(SUMMARIES, month))
    if as_json:
        print_json(found)
        return
    _print_months([found])
    _print_lines(found["lines"], "Usage")
    for correction in found["corrections"]:
        _print_lines(correction["lines"], f"Corrections of {correction['month']}")


@app.command(
    epilog=examples("bursar billing finalise 2026-10 --reason 'agreed with finance'"),
)
@options.naming_ledger
def finalise(
    month: MonthName,
    *,
    reason: Annotated[str | None, typer.Option(help="Why it is closed now; kept with it.")] = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Close a month that is over, and those before it, for good.

    The schedule does so by itself some days after a month's end (BURSAR_BILLING_GRACE_DAYS). What comes
    later, or changes, is a correction in the next month.
    """
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import print_json

    done = ask(ledger, "POST", f"{path_of(SUMMARIES, month)}/finalise", {"reason": reason})
    if as_json:
        print_json(done)
        return
    print(f"Closed: {', '.join(done['closed'])}." if done["closed"] else f"{month} was closed already.")
    _print_months([done["month"]])


@app.command(epilog=examples("bursar billing estimate", "bursar billing estimate --json"))
@options.naming_ledger
def estimate(
    *,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Say what the current month may come to, from what its days have cost so far."""
    from bursar.cli.connection import ask
    from bursar.cli.printing import print_json, print_table

    found = ask(ledger, "GET", ESTIMATE)
    if as_json:
        print_json(found)
    elif not found["items"]:
        print(f"{found['month']} has no complete day with a known cost yet; there is nothing to go by.")
    else:
        columns = ("currency", "so_far", "to_come", "total", "method", "basis_days")
        rows = [tuple(one[name] for name in columns) for one in found["items"]]
        print_table(columns, rows, title=found["month"], numbers=columns[1:4])
    if not as_json and found["unpriced_events"]:
        print(f"{found['unpriced_events']} events of the month have no known cost and are in no amount.")


def _print_months(months: Sequence[Mapping[str, Any]]) -> None:
    from bursar.cli.printing import print_table

    columns = ("month", "state", "currency", "usage", "corrections", "total", "events", "unpriced")
    rows = [
        (
            month["month"],
            month["state"],
            total["currency"],
            total["usage"] or UNKNOWN,
            total["corrections"],
            total["total"] or UNKNOWN,
            total["events"],
            total["unpriced_events"],
        )
        for month in months
        for total in month["totals"] or [_NOTHING]
    ]
    print_table(columns, rows, numbers=columns[3:])
    for month in months:
        if month["partial"]:
            print(
                f"{month['month']} is incomplete: what came before {month['partial']['since']} has expired."
            )


UNKNOWN = "unknown"
_NOTHING = {
    "currency": "",
    "usage": "0",
    "corrections": "0",
    "total": "0",
    "events": 0,
    "unpriced_events": 0,
}


def _print_lines(lines: Sequence[Mapping[str, Any]], title: str) -> None:
    from bursar.cli.printing import print_table

    columns = (
        "service_type",
        "provider",
        "model",
        "project_id",
        "currency",
        "cost_status",
        "events",
        "amount",
    )
    rows = [tuple("" if line[name] is None else line[name] for name in columns) for line in lines]
    if rows:
        print_table(columns, rows, title=title, numbers=("events", "amount"))
