"""`bursar keys`: makes, lists and revokes API keys. The rules are the server's (`identity/`)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.options import examples

HELP = "API keys: make, list, revoke."
COLUMNS = ("id", "label", "scopes", "state", "prefix", "created_at", "last_used_at", "expires_at")
PATH = "/api/v1/keys"

app = typer.Typer(no_args_is_help=True)


@app.command(
    epilog=examples(
        "bursar keys create --label ci --scope ingest",
        "bursar keys create --label dashboard --scope read --expires 90d",
        "KEY=$(bursar keys create --label laptop --scope admin)",
    )
)
@options.naming_ledger
def create(
    *,
    label: Annotated[str, typer.Option(help="What the key is for, in your words.")],
    scope: Annotated[
        list[str], typer.Option(help="What it may do: ingest, read, admin (all), or one permission; repeat.")
    ],
    expires: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="A number of days (90d) or an RFC 3339 time; never if absent."),
    ] = None,
    operator: Annotated[
        bool, typer.Option("--operator", help="May name any tenant and manage tenants.")
    ] = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Make an API key. Its secret is printed once, alone on standard output."""
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_json, say

    body: dict[str, Any] = {
        "label": label,
        "scopes": scope,
        "is_operator": operator,
        "tenant_id": ledger.tenant,
        "expires_at": _moment(expires) if expires else None,
    }
    with open_ledger(ledger) as client:
        made = client.request("POST", PATH, body=body)
    if as_json:
        print_json(made)
        return
    say(f"Made key {made['id']} for tenant {made['tenant_id']}. Keep the secret: it can't be shown again.")
    print(made["key"])


@app.command("list", epilog=examples("bursar keys list", "bursar keys list --tenant acme --json"))
@options.naming_ledger
def list_keys(
    *,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """List a tenant's API keys, revoked ones included, without their secrets."""
    from bursar.cli.connection import open_ledger, whole_list
    from bursar.cli.printing import print_items

    with open_ledger(ledger) as client:
        items = whole_list(client, PATH, ledger.params)
    print_items(items, COLUMNS, as_json=as_json)


@app.command(epilog=examples("bursar keys revoke key_4f0c81d2a97b63e5f1a0c2d4"))
@options.naming_ledger
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="The id as `bursar keys list` shows it.")],
    *,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Revoke an API key, effective within 5 seconds. What it recorded stays."""
    from bursar.cli.connection import open_ledger, path_of
    from bursar.cli.printing import print_json

    with open_ledger(ledger) as client:
        revoked = client.request("DELETE", path_of(PATH, key_id), params=ledger.params)
    if as_json:
        print_json(revoked)
    else:
        print(f"Revoked {revoked['id']} ({revoked['label']}).")


def _moment(text: str) -> str:
    """An expiry as the API takes it: days from now become a moment, anything else is left to the server."""
    import re
    from datetime import timedelta

    from bursar import clock

    days = re.fullmatch(r"(\d{1,4})d", text)
    return clock.rfc3339(clock.now() + timedelta(days=int(days[1]))) if days else text
