"""`bursar query`: asks the one question (`usage/query.py`) from the command line."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.options import examples

if TYPE_CHECKING:
    from bursar_client import QueryAnswer

EXAMPLES = examples(
    "bursar query                                          the last 30 days in one line",
    "bursar query --by model --order -cost --limit 10",
    "bursar query --measures cost,events --by project_id --grain day --window 7d",
    "bursar query --by user_id --filter provider=anthropic --filter 'model^=claude-opus'",
    "bursar query --measures latency_p95_ms,error_rate --by model --filter environment!=staging",
    "bursar query --by tag:team --window 2026-10-01/2026-11-01 --zone Europe/Berlin --format csv",
)
DEFAULT_MEASURES = "cost,events,input_tokens,output_tokens"
_FILTER = re.compile(r"(?P<name>[^=!^]+)(?P<operator>!=|\^=|=)(?P<values>.*)", re.DOTALL)
_OPERATORS = {"=": "in", "!=": "not", "^=": "prefix"}
_ABSENT = "null"


class Format(StrEnum):
    """How the answer is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


Measures = Annotated[
    str,
    typer.Option(help="What to compute, separated by commas: cost, events, input_tokens, latency_p95_ms …"),
]
Rows = Annotated[
    str | None,
    typer.Option(help="Rows: dimensions separated by commas: model, project_id, user_id, tag:team …"),
]
Window = Annotated[
    str,
    typer.Option(help="30d, 24h, today, last_month, 2026-10, all, or START/END as dates or RFC 3339 times."),
]
Filters = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="NAME=VALUE",
        help="Keep NAME=A,B (one of), NAME!=A (none of), NAME^=A (begins with); null is absent.",
    ),
]
Grain = Annotated[str | None, typer.Option(help="A row per hour, day, week or month.")]
Zone = Annotated[str | None, typer.Option(help="Time zone of days. [default: the tenant's]")]
Order = Annotated[
    str | None, typer.Option(help="Columns to sort by, separated by commas; -cost sorts from the top.")
]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="At most this many rows.")]
Currency = Annotated[
    str | None,
    typer.Option(
        "--in",
        metavar="CURRENCY",
        help="Also tell the total cost in it. [default: the tenant's, if it chose one]",
    ),
]
Form = Annotated[Format, typer.Option("--format", help="How to print the answer.")]


@options.naming_ledger
def query(
    *,
    measures: Measures = DEFAULT_MEASURES,
    by: Rows = None,
    window: Window = "30d",
    where: Filters = None,
    grain: Grain = None,
    zone: Zone = None,
    order: Order = None,
    limit: Limit = 100,
    currency: Currency = None,
    form: Form = Format.TABLE,
    ledger: options.Ledger,
) -> None:
    """Ask who spent what: measures, by dimensions, over a window."""
    from bursar.cli.connection import ask
    from bursar_client import read_query_answer

    question: dict[str, Any] = {
        "measures": _names(measures),
        "dimensions": _names(by),
        "window": window,
        "filters": read_filters(where or []),
        "grain": grain,
        "zone": zone,
        "order": _names(order),
        "limit": limit,
        "reporting_currency": currency,
    }
    body = {name: value for name, value in question.items() if value not in (None, [], {})}
    document = ask(ledger, "POST", "/api/v1/query", body)
    show(read_query_answer(document), form)


def read_filters(texts: list[str]) -> dict[str, dict[str, list[Any]]]:
    """The filters of a command line in the form of the API; several on one dimension all hold.

    Raises:
        BadParameter: one has no comparison in it.
    """
    filters: dict[str, dict[str, list[Any]]] = {}
    for text in texts:
        found = _FILTER.fullmatch(text)
        if found is None:
            message = f"{text!r} is no filter; write NAME=VALUE, NAME!=VALUE or NAME^=VALUE."
            raise typer.BadParameter(message, param_hint="--filter")
        name, operator = found["name"].strip(), _OPERATORS[found["operator"]]
        values = [_value(name, value.strip()) for value in found["values"].split(",")]
        filters.setdefault(name, {}).setdefault(operator, []).extend(values)
    return filters


def _value(name: str, text: str) -> str | int | float | bool | None:
    """A value as the dimension's kind; what doesn't fit stays a text for the server to refuse."""
    from bursar.usage.query_dimensions import Kind, find_dimension

    if text == _ABSENT:
        return None
    dimension = find_dimension(name)
    try:
        match dimension.kind if dimension else Kind.TEXT:
            case Kind.FLAG:
                return {"true": True, "false": False}.get(text.lower(), text)
            case Kind.WHOLE:
                return int(text)
            case Kind.NUMBER:
                return float(text)
            case Kind.TEXT:
                return text
    except ValueError:
        return text


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def show(answer: QueryAnswer, form: Format) -> None:
    """Print an answer."""
    from bursar.cli.printing import print_csv, print_json, print_table, say

    document: dict[str, Any] = dict(answer.document)
    match form:
        case Format.JSON:
            print_json(document)
        case Format.CSV:
            print_csv(answer.columns, answer.rows)
        case Format.TABLE:
            columns: list[dict[str, Any]] = document["columns"]
            numbers = [column["name"] for column in columns if column.get("kind") == "measure"]
            print_table(answer.columns, answer.rows, numbers=numbers)
            if not answer.rows:
                say("No event is like this.")
            _print_converted(document.get("converted"))
            window = document["window"]
            say(f"{window['start']} to {window['end']} ({window['zone']})")
    if form is not Format.JSON:
        _warn(answer, document)


def _print_converted(converted: dict[str, Any] | None) -> None:
    """The total cost in one currency with the rates that are in it, or why there is none."""
    if converted is None:
        return
    lines = [f"In {converted['currency']}: {converted['amount'] or 'unknown'}"]
    for used in converted["rates"]:
        quotes = ", ".join(f"1 {one['base']} = {one['rate']} {one['quote']}" for one in used["quotes"])
        days = f"{used['first_day']} to {used['last_day']}"
        lines.append(f"  {used['amount']} {used['currency']} of {days} by {quotes} ({used['rate_date']})")
    for one in converted["missing"]:
        days = f"{one['first_day']} to {one['last_day']}"
        lines.append(f"  no exchange rate of {one['currency']} for {one['days']} days ({days})")
    print("\n".join(lines))


def _warn(answer: QueryAnswer, document: dict[str, Any]) -> None:
    """What a reader of the rows must know about them; on stderr, so that CSV stays CSV."""
    from bursar.cli.printing import say

    if answer.unpriced_events:
        say(f"{answer.unpriced_events:,} events have no known price and are in no amount.")
    if document.get("has_more"):
        say(f"There are more than these {len(answer.rows)} rows; raise --limit to see them.")
