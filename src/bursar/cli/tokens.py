"""`bursar tokens`: tracking tokens, by which events say which app or place they come from."""

from __future__ import annotations

from typing import Annotated

import typer

from bursar.cli import options
from bursar.cli.options import examples

HELP = "Tracking tokens: make, list, show, relabel, switch off and on, delete."
COLUMNS = ("id", "label", "token_masked", "is_active", "usage_count", "last_seen_at", "created_at")
PATH = "/api/v1/tokens"

app = typer.Typer(no_args_is_help=True)

TokenId = Annotated[
    str, typer.Argument(metavar="TOKEN_ID", help="The id as `bursar tokens list` shows it: tok_…")
]


@app.command(
    epilog=examples(
        "bursar tokens create --label 'Production app'",
        "bursar tokens create --label legacy --token Zk3vXw0sQ1mPj7Tn5yRb2A",
    )
)
@options.naming_ledger
def create(
    *,
    label: Annotated[str, typer.Option(help="What sends usage with it; unique in the tenant.")],
    token: Annotated[
        str | None,
        typer.Option(help="16 to 40 letters, digits, - or _, where clients have one; made up if absent."),
    ] = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Make a tracking token, and print it alone on standard output.

    Events name it as `tracking_token`. It is no secret and opens nothing: sending usage takes a key.
    """
    from bursar.cli.connection import ask
    from bursar.cli.printing import print_json, say

    body = {"label": label, "token": token}
    made = ask(ledger, "POST", PATH, body)
    if as_json:
        print_json(made)
        return
    say(f"Made tracking token {made['id']} ({made['label']}) of tenant {made['tenant_id']}.")
    print(made["token"])


@app.command("list", epilog=examples("bursar tokens list", "bursar tokens list --tenant acme --json"))
@options.naming_ledger
def list_tokens(*, ledger: options.Ledger, as_json: options.AsJson = False) -> None:
    """List a tenant's tracking tokens, masked, with when each was last seen."""
    from bursar.cli.connection import ask_list
    from bursar.cli.printing import print_items

    items = ask_list(ledger, PATH)
    print_items(items, COLUMNS, as_json=as_json)


@app.command(epilog=examples("bursar tokens show tok_4f0c81d2a97b63e5f1a0c2d4"))
@options.naming_ledger
def show(token_id: TokenId, *, ledger: options.Ledger, as_json: options.AsJson = False) -> None:
    """Show one tracking token whole."""
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import print_items

    found = ask(ledger, "GET", path_of(PATH, token_id))
    if as_json:
        from bursar.cli.printing import print_json

        print_json(found)
    else:
        print_items([found], (*COLUMNS, "token"), as_json=False)


@app.command(epilog=examples("bursar tokens relabel tok_4f0c81d2a97b63e5f1a0c2d4 'Production web app'"))
@options.naming_ledger
def relabel(
    token_id: TokenId,
    label: Annotated[str, typer.Argument(metavar="LABEL", help="The new label; unique in the tenant.")],
    *,
    ledger: options.Ledger,
) -> None:
    """Give a tracking token another label; its id and its characters stay."""
    from bursar.cli.connection import ask, path_of

    changed = ask(ledger, "PATCH", path_of(PATH, token_id), {"label": label})
    print(f"{changed['id']} is labelled {changed['label']} now.")


@app.command(epilog=examples("bursar tokens activate tok_4f0c81d2a97b63e5f1a0c2d4"))
@options.naming_ledger
def activate(token_id: TokenId, *, ledger: options.Ledger, as_json: options.AsJson = False) -> None:
    """Let a tracking token count again."""
    _switch(token_id, ledger, is_active=True, as_json=as_json)


@app.command(epilog=examples("bursar tokens deactivate tok_4f0c81d2a97b63e5f1a0c2d4"))
@options.naming_ledger
def deactivate(token_id: TokenId, *, ledger: options.Ledger, as_json: options.AsJson = False) -> None:
    """Switch a tracking token off: events that name it are refused. What it recorded stays."""
    _switch(token_id, ledger, is_active=False, as_json=as_json)


@app.command(epilog=examples("bursar tokens delete tok_4f0c81d2a97b63e5f1a0c2d4"))
@options.naming_ledger
def delete(token_id: TokenId, *, ledger: options.Ledger) -> None:
    """Delete a tracking token. Events that named it keep its id."""
    from bursar.cli.connection import ask, path_of

    ask(ledger, "DELETE", path_of(PATH, token_id))
    print(f"Deleted {token_id}.")


def _switch(token_id: str, ledger: options.Ledger, *, is_active: bool, as_json: bool) -> None:
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import print_json

    changed = ask(ledger, "PATCH", path_of(PATH, token_id), {"is_active": is_active})
    if as_json:
        print_json(changed)
    else:
        word = "active" if changed["is_active"] else "inactive"
        print(f"{changed['id']} ({changed['label']}) is {word}.")
