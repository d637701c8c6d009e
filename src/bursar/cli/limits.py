"""`bursar limits`: how often a tenant may ask, where the operator sets that for it alone."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from bursar.cli import options
from bursar.cli.options import examples

HELP = "How often a tenant may ask: list, set, remove its own limits."
COLUMNS = ("use", "per_minute", "burst", "is_own", "set_at")
PATH = "/api/v1/limits"


# As words of the command line; importing those of `identity` would cost time at every start.
class Use(StrEnum):
    """What a request is for."""

    INGEST = "ingest"
    READ = "read"


app = typer.Typer(no_args_is_help=True)

Which = Annotated[
    Use, typer.Argument(metavar="USE", help="`ingest` (posts of events) or `read` (everything else).")
]


@app.command("list", epilog=examples("bursar limits list --tenant acme"))
@options.naming_ledger
def list_limits(*, ledger: options.Ledger, as_json: options.AsJson = False) -> None:
    """Show how often all keys of a tenant together may ask: its own limits, or those of the settings."""
    from bursar.cli.connection import ask
    from bursar.cli.printing import print_items

    found = ask(ledger, "GET", PATH)
    print_items(found["items"], COLUMNS, as_json=as_json)


@app.command("set", epilog=examples("bursar limits set ingest 60000 --burst 5000 --tenant acme"))
@options.naming_ledger
def set_limit(
    use: Which,
    per_minute: Annotated[int, typer.Argument(metavar="PER_MINUTE", help="Requests a minute.")],
    *,
    burst: Annotated[
        int | None, typer.Option(help="How many of them at once; as many as in a minute if absent.")
    ] = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Limit all keys of a tenant together, in place of the settings' limit per tenant.

    It counts within 5 seconds, in every server on the same state store.
    """
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import print_items

    body = {"per_minute": per_minute, "burst": burst}
    made = ask(ledger, "PUT", path_of(PATH, use.value), body)
    print_items([made], COLUMNS, as_json=as_json)


@app.command(epilog=examples("bursar limits remove ingest --tenant acme"))
@options.naming_ledger
def remove(use: Which, *, ledger: options.Ledger) -> None:
    """Let the settings' limit hold for a tenant again."""
    from bursar.cli.connection import ask, path_of

    ask(ledger, "DELETE", path_of(PATH, use.value))
    print(f"Removed the tenant's own limit on {use.value}.")
