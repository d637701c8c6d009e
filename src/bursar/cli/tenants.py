"""`bursar tenants`: makes and lists tenants, the organisations that no data crosses between."""

from __future__ import annotations

from typing import Annotated

import typer

from bursar.cli import options
from bursar.cli.options import examples

HELP = "Tenants: make, list."
COLUMNS = ("id", "name", "zone", "state", "created_at")
PATH = "/api/v1/tenants"

app = typer.Typer(no_args_is_help=True)


@app.command(
    epilog=examples(
        "bursar tenants create --id acme --name 'Acme Ltd' --zone Europe/Berlin",
        "bursar keys create --tenant acme --label first --scope admin",
    )
)
def create(
    *,
    tenant_id: Annotated[
        str | None, typer.Option("--id", help="The id that keys and reports name; made up if absent.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Its name for people; the id if absent.")] = None,
    zone: Annotated[
        str, typer.Option(help="IANA time zone in which its days and months are reported.")
    ] = "UTC",
    data: options.Data = None,
    url: options.Url = None,
    key: options.Key = None,
    as_json: options.AsJson = False,
) -> None:
    """Make a tenant. Its keys see its data and nobody else's."""
    from bursar.cli.connection import Target, open_ledger
    from bursar.cli.printing import print_json

    with open_ledger(Target(data, url, key)) as client:
        made = client.request("POST", PATH, body={"id": tenant_id, "name": name, "zone": zone})
    if as_json:
        print_json(made)
    else:
        print(f"Made tenant {made['id']} ({made['name']}, {made['zone']}).")


@app.command("list", epilog=examples("bursar tenants list", "bursar tenants list --json"))
def list_tenants(
    *,
    data: options.Data = None,
    url: options.Url = None,
    key: options.Key = None,
    as_json: options.AsJson = False,
) -> None:
    """List all tenants in order of creation."""
    from bursar.cli.connection import Target, open_ledger, whole_list
    from bursar.cli.printing import print_items

    with open_ledger(Target(data, url, key)) as client:
        items = whole_list(client, PATH)
    print_items(items, COLUMNS, as_json=as_json)
