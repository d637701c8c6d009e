"""`bursar keys`: makes, lists, rotates and revokes API keys. The rules are the server's (`identity/`)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bursar.cli import options, query
from bursar.cli.options import examples

HELP = "API keys: make, list, show, rotate, revoke; what each has sent."
COLUMNS = (
    "id",
    "label",
    "scopes",
    "project_id",
    "networks",
    "owner",
    "cost_centre",
    "state",
    "prefix",
    "created_at",
    "last_used_at",
    "expires_at",
)
PATH = "/api/v1/keys"

app = typer.Typer(no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="The id as `bursar keys list` shows it.")]
Project = Annotated[
    str | None, typer.Option(help="The only project that it may do anything in; all if absent.")
]
Networks = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CIDR", help="Where it counts from, such as 10.1.0.0/16; repeat. Anywhere if absent."
    ),
]


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
    project: Project = None,
    network: Networks = None,
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
        "project_id": project,
        "networks": network or [],
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
    """List a tenant's API keys, revoked ones included, with owner and cost centre, without their secrets."""
    from bursar.cli.connection import ask_list
    from bursar.cli.printing import print_items

    items = ask_list(ledger, PATH)
    print_items(items, COLUMNS, as_json=as_json)


@app.command(epilog=examples("bursar keys show key_4f0c81d2a97b63e5f1a0c2d4"))
@options.naming_ledger
def show(key_id: KeyId, *, ledger: options.Ledger, as_json: options.AsJson = False) -> None:
    """Show one API key, without its secret."""
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import print_one

    found = ask(ledger, "GET", path_of(PATH, key_id))
    print_one(found, as_json=as_json)


@app.command(
    epilog=examples(
        "bursar keys usage key_4f0c81d2a97b63e5f1a0c2d4",
        "bursar keys usage key_4f0c81d2a97b63e5f1a0c2d4 --by model --window 7d --format csv",
    )
)
@options.naming_ledger
def usage(
    key_id: KeyId,
    *,
    measures: query.Measures = query.DEFAULT_MEASURES,
    by: query.Rows = None,
    window: query.Window = "30d",
    form: query.Form = query.Format.TABLE,
    ledger: options.Ledger,
) -> None:
    """Ask what an API key has sent, revoked or not: measures, by dimensions, over a window."""
    from bursar.cli.connection import open_ledger, path_of
    from bursar_client import read_query_answer

    asked = {"measures": measures, "window": window, **({} if by is None else {"dimensions": by})}
    with open_ledger(ledger) as client:
        path = f"{path_of(PATH, key_id)}/usage"
        document = client.request("GET", path, params={**ledger.params, **asked})
    query.show(read_query_answer(document), form)


@app.command(
    epilog=examples(
        "bursar keys rotate key_4f0c81d2a97b63e5f1a0c2d4",
        "bursar keys rotate key_4f0c81d2a97b63e5f1a0c2d4 --overlap 7d",
        "KEY=$(bursar keys rotate key_4f0c81d2a97b63e5f1a0c2d4 --overlap 0)",
    )
)
@options.naming_ledger
def rotate(
    key_id: KeyId,
    *,
    overlap: Annotated[
        str, typer.Option(metavar="DURATION", help="For so long the old key still counts: 0, 90m, 24h or 7d.")
    ] = "24h",
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="End of the new key: a number of days (90d) or an RFC 3339 time; if absent it lives as long"
            " as the old one was to.",
        ),
    ] = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Replace an API key by one with the same terms, and print its secret alone on standard output.

    The old key counts until the overlap is over, so that every client can change over meanwhile.
    """
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import print_json, say

    body = {"overlap_seconds": _seconds(overlap), "expires_at": _moment(expires) if expires else None}
    made = ask(ledger, "POST", f"{path_of(PATH, key_id)}/rotate", body)
    if as_json:
        print_json(made)
        return
    say(f"Made key {made['id']}; {key_id} counts until {made['replaced_ends_at']}.")
    say("Keep the secret: it can't be shown again.")
    print(made["key"])


@app.command(epilog=examples("bursar keys revoke key_4f0c81d2a97b63e5f1a0c2d4"))
@options.naming_ledger
def revoke(
    key_id: KeyId,
    *,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Revoke an API key, effective within 5 seconds. What it recorded stays."""
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import print_json

    revoked = ask(ledger, "DELETE", path_of(PATH, key_id))
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


def _seconds(text: str) -> int:
    """A duration in seconds.

    Raises:
        typer.BadParameter: it is none.
    """
    import re

    found = re.fullmatch(r"(\d{1,6})([smhd]?)", text)
    if found is None or (not found[2] and int(found[1])):
        message = "must be 0 or a number with its unit, such as 90m, 24h or 7d"
        raise typer.BadParameter(message, param_hint="--overlap")
    return int(found[1]) * {"": 0, "s": 1, "m": 60, "h": 3600, "d": 86_400}[found[2]]
