"""`bursar prices`: the dated price book: update it from a source, look at it, compare it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

HELP = "The dated price book: update, diff, show, history, sources, updates, check; and prices of one's own."
PATH = "/api/v1/prices"

app = typer.Typer(no_args_is_help=True)


INSTALLED = "installed"
"""The one source that is no file."""


From = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="installed|FILE",
        help="The genai-prices package on the server, or a data file of genai-prices (data.json).",
    ),
]
LiteLLM = Annotated[
    Path | None,
    typer.Option(
        "--litellm",
        metavar="FILE",
        help="LiteLLM's model_prices_and_context_window.json, instead of --from: it fills gaps only.",
        exists=True,
        dir_okay=False,
    ),
]
ValidFrom = Annotated[
    str | None,
    typer.Option(
        "--valid-from",
        metavar="TIME",
        help="From when on changes count for which the source has no date (RFC 3339). [default: now]",
    ),
]
Retire = Annotated[
    bool, typer.Option("--retire", help="End the prices of models that the source no longer lists.")
]
Provider = Annotated[str, typer.Argument(help="Any spelling that an event may have.")]
Model = Annotated[str, typer.Argument(help="As an event would name it.")]


@app.command(
    epilog=examples(
        "bursar prices update",
        "bursar prices update --from data.json --note 'prices of November'",
        "bursar prices update --litellm model_prices_and_context_window.json --dry-run",
        "bursar prices update --from data.json --valid-from 2026-11-01T00:00:00Z",
    )
)
@options.naming_ledger
def update(
    *,
    source: From = INSTALLED,
    litellm: LiteLLM = None,
    valid_from: ValidFrom = None,
    retire: Retire = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why; it stays with it.")] = "",
    ledger: options.Target,
    as_json: options.AsJson = False,
) -> None:
    """Update the price book from a source; the past keeps its prices.

    Nothing is overwritten: a price that changes ends, and a new one begins. Where the source gives a date
    that date counts, else --valid-from. What had no price yet gets the new one for all times, so that it can
    be re-priced. The same source twice changes nothing.
    """
    from bursar.cli.price_tables import show_diff

    params = _params(valid_from, retire=retire)
    where = f"{PATH}/diff" if dry_run else f"{PATH}/updates"
    found = _send(ledger, where, source, litellm, params if dry_run else {**params, "note": note})
    show_diff(found, as_json=as_json)
    if as_json:
        return
    kept = found["update"]
    if dry_run:
        print("Nothing was changed: this was a dry run.")
    elif kept is None:
        print("Nothing was to be changed.")
    else:
        print(f"Update {kept['number']} was kept.")


@app.command(
    epilog=examples(
        "bursar prices diff",
        "bursar prices diff --from data.json",
        "bursar prices diff --litellm model_prices_and_context_window.json --json",
    )
)
@options.naming_ledger
def diff(
    *,
    source: From = INSTALLED,
    litellm: LiteLLM = None,
    valid_from: ValidFrom = None,
    retire: Retire = False,
    ledger: options.Target,
    as_json: options.AsJson = False,
) -> None:
    """Say what an update would change: new, changed and ended prices, from which to which."""
    from bursar.cli.price_tables import show_diff

    params = _params(valid_from, retire=retire)
    show_diff(_send(ledger, f"{PATH}/diff", source, litellm, params), as_json=as_json)


@app.command(
    epilog=examples(
        "bursar prices show openai o3",
        "bursar prices show openai o3 --at 2025-06-01T00:00:00Z",
        "bursar prices show deepseek deepseek-chat --known-at 2026-11-01T00:00:00Z --json",
    )
)
@options.naming_ledger
def show(
    provider: Provider,
    model: Model,
    *,
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="The moment. [default: now]")] = None,
    known_at: Annotated[
        str | None, typer.Option("--known-at", metavar="TIME", help="As far as the book knew then.")
    ] = None,
    ledger: options.Target,
    as_json: options.AsJson = False,
) -> None:
    """Say what a model costs at a moment, price by price with its source."""
    from bursar.cli.price_tables import title_of, words_of
    from bursar.cli.printing import print_json, print_table

    asked = {"provider": provider, "model": model, "at": at, "known_at": known_at}
    found = _ask(ledger, "show", {name: value for name, value in asked.items() if value is not None})
    if as_json:
        print_json(found)
        return
    rows = [
        (row["unit"], row["price"], row["per"], row["currency"], words_of(row), row["source"], row["link"])
        for row in found["rows"]
    ]
    columns = ("unit", "price", "per", "currency", "conditions", "source", "link")
    print_table(columns, rows, title=title_of(found), numbers=("price", "per"))


@app.command(epilog=examples("bursar prices history openai o3", "bursar prices history openai o3 --json"))
@options.naming_ledger
def history(
    provider: Provider, model: Model, *, ledger: options.Target, as_json: options.AsJson = False
) -> None:
    """List every price that a model ever had: when it holds, who said so, what ended it."""
    from bursar.cli.price_tables import end_of, title_of, words_of
    from bursar.cli.printing import print_json, print_table

    found = _ask(ledger, "history", {"provider": provider, "model": model})
    if as_json:
        print_json(found)
        return
    rows = [
        (
            row["unit"],
            row["price"],
            words_of(row),
            row["valid_from"] or "always",
            end_of(row),
            row["source"],
            f"#{row['update']} {row['recorded_at']}",
            ", ".join(f"#{end['update']}" for end in row["ended_by"]),
            row["hash"][:8],
        )
        for row in found["rows"]
    ]
    columns = ("unit", "price", "conditions", "from", "to", "source", "recorded", "ended by", "hash")
    print_table(columns, rows, title=title_of(found), numbers=("price",))


@app.command(epilog=examples("bursar prices sources", "bursar prices sources --json"))
@options.naming_ledger
def sources(*, ledger: options.Target, as_json: options.AsJson = False) -> None:
    """List where the prices come from: version, content hash, when they were recorded."""
    from bursar.cli.printing import print_items

    columns = ("source", "version", "content_hash", "recorded_at", "update", "rows", "open_rows")
    print_items(_ask(ledger, "sources", {})["items"], columns, as_json=as_json)


@app.command(epilog=examples("bursar prices updates", "bursar prices updates --json"))
@options.naming_ledger
def updates(*, ledger: options.Target, as_json: options.AsJson = False) -> None:
    """List every update of the price book: who, when, from what, and why; the latest first."""
    from bursar.cli.connection import ask_list
    from bursar.cli.printing import print_items

    found = ask_list(ledger, f"{PATH}/updates")
    shown = [
        {**one, "changes": ", ".join(f"{count} {name}" for name, count in one["counts"].items() if count)}
        for one in found
    ]
    columns = ("number", "recorded_at", "source", "version", "made_by", "changes", "note")
    print_items(found if as_json else shown, columns, as_json=as_json)


@app.command(
    epilog=examples(
        "bursar prices check",
        "bursar prices check --litellm model_prices_and_context_window.json",
        "bursar prices check --from data.json --json",
    )
)
@options.naming_ledger
def check(
    *,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="A data file of genai-prices to compare with.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    litellm: LiteLLM = None,
    ledger: options.Target,
    as_json: options.AsJson = False,
) -> None:
    """Say what is odd in the book, and where another source disagrees with it, by how much."""
    from bursar.cli.price_tables import show_disagreements
    from bursar.cli.printing import print_json, print_table

    if source is None and litellm is None:
        found = _ask(ledger, "report", {})
    else:
        found = _send(ledger, f"{PATH}/compare", str(source or ""), litellm, {})
    if as_json:
        print_json(found)
        return
    faults = [(one["kind"], one["provider"], one["model"], one["detail"]) for one in found["faults"]]
    print_table(("what", "provider", "model", "detail"), faults, title=f"The book: {found['book_version']}")
    if found["compared_with"]:
        show_disagreements(found["disagreements"], found["disagreement_count"], found["compared_with"])


def _send(
    ledger: options.Target, path: str, source: str, litellm: Path | None, params: Mapping[str, str]
) -> Mapping[str, Any]:
    """Ask with a file as the body, or with none for the installed package."""
    from bursar.cli.connection import open_ledger
    from bursar.cli.price_files import content_of

    if litellm is not None and source not in {"", INSTALLED}:
        message = "Name one source: --from or --litellm."
        raise typer.BadParameter(message)
    kind, content = "installed", None
    if litellm is not None:
        kind, content = "litellm", content_of(litellm)
    elif source != INSTALLED:
        kind, content = "genai-prices", content_of(Path(source))
    with open_ledger(ledger) as client:
        return client.request("POST", path, body=content, params={"source": kind, **params})


def _ask(ledger: options.Target, what: str, params: Mapping[str, str]) -> Mapping[str, Any]:
    from bursar.cli.connection import open_ledger

    with open_ledger(ledger) as client:
        return client.request("GET", f"{PATH}/{what}", params=params)


def _params(valid_from: str | None, *, retire: bool) -> dict[str, str]:
    params = {"retire": "true"} if retire else {}
    return params if valid_from is None else {**params, "valid_from": valid_from}
