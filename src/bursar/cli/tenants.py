"""`bursar tenants`: makes, lists, suspends and deletes tenants, which no data crosses between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bursar.cli import changing, options
from bursar.cli.options import examples

HELP = "Tenants: make, list, show, suspend, delete."
COLUMNS = ("id", "name", "zone", "state", "created_at")
PATH = "/api/v1/tenants"

if TYPE_CHECKING:
    pass

app = typer.Typer(no_args_is_help=True)


@app.command(
    epilog=examples(
        "bursar tenants create --id acme --name 'Acme Ltd' --zone Europe/Berlin",
        "bursar keys create --tenant acme --label first --scope admin",
    )
)
@options.naming_ledger
def create(
    *,
    tenant_id: Annotated[
        str | None, typer.Option("--id", help="The id that keys and reports name; made up if absent.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Its name for people; the id if absent.")] = None,
    zone: Annotated[
        str, typer.Option(help="IANA time zone in which its days and months are reported.")
    ] = "UTC",
    target: options.Target,
    as_json: options.AsJson = False,
) -> None:
    """Make a tenant. Its keys see its data and nobody else's."""
    from bursar.cli.connection import ask
    from bursar.cli.printing import print_json

    made = ask(target, "POST", PATH, {"id": tenant_id, "name": name, "zone": zone})
    if as_json:
        print_json(made)
    else:
        print(f"Made tenant {made['id']} ({made['name']}, {made['zone']}).")


@app.command("list", epilog=examples("bursar tenants list", "bursar tenants list --json"))
@options.naming_ledger
def list_tenants(
    *,
    target: options.Target,
    as_json: options.AsJson = False,
) -> None:
    """List all tenants in order of creation."""
    from bursar.cli.connection import ask_list
    from bursar.cli.printing import print_items

    items = ask_list(target, PATH)
    print_items(items, COLUMNS, as_json=as_json)


@app.command(epilog=examples("bursar tenants show acme"))
@options.naming_ledger
def show(
    tenant_id: Annotated[str, typer.Argument(metavar="ID", help="The tenant's id.")],
    *,
    target: options.Target,
    as_json: options.AsJson = False,
) -> None:
    """Show one tenant."""
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import print_one

    found = ask(target, "GET", path_of(PATH, tenant_id))
    print_one(found, as_json=as_json)


@app.command(epilog=examples("bursar tenants suspend acme"))
@options.naming_ledger
def suspend(
    tenant_id: Annotated[str, typer.Argument(metavar="ID", help="The tenant's id.")],
    *,
    target: options.Target,
) -> None:
    """Refuse a tenant's usage from now on; what it has stays readable."""
    _set_state(tenant_id, "suspended", target)


@app.command(epilog=examples("bursar tenants resume acme"))
@options.naming_ledger
def resume(
    tenant_id: Annotated[str, typer.Argument(metavar="ID", help="The tenant's id.")],
    *,
    target: options.Target,
) -> None:
    """Take a suspended tenant's usage again."""
    _set_state(tenant_id, "active", target)


@app.command(epilog=examples("bursar tenants delete acme --reason 'contract ended'"))
@options.naming_ledger
def delete(
    tenant_id: Annotated[str, typer.Argument(metavar="ID", help="The tenant's id.")],
    *,
    reason: changing.Reason = None,
    leave_elsewhere: changing.LeaveElsewhere = False,
    yes: changing.Yes = False,
    target: options.Target,
    as_json: options.AsJson = False,
) -> None:
    """Delete a tenant with all it has: usage, journal, keys, projects. Its usage is refused at once.

    Servers with data folders of their own on the same state store remove their part too; it waits until
    each has.
    """
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_json, say

    why = changing.need_reason(reason)
    changing.confirm(f"Delete tenant {tenant_id} with all it has? This can't be undone.", yes=yes)
    with open_ledger(target) as client:
        answer = client.changes.delete_tenant(tenant_id, reason=why, leave_elsewhere=leave_elsewhere)
        run = changing.finish_run(client, answer, None)
    if as_json:
        print_json(run)
        return
    result = run["result"]
    say(
        f"Deleted tenant {tenant_id}: {result['events']} events, {result['keys']} keys,"
        f" {result['projects']} projects; {sum(result['rows_left'].values())} rows are left."
    )


@app.command(epilog=examples("bursar tenants settings", "bursar tenants settings --zone Asia/Tokyo"))
@options.naming_ledger
def settings(
    *,
    name: Annotated[str | None, typer.Option(help="Give it another name for people.")] = None,
    zone: Annotated[
        str | None, typer.Option(help="Report its days and months in another time zone, an IANA name.")
    ] = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Show a tenant's settings and where others are, or change its name or time zone."""
    from bursar.cli.connection import ask
    from bursar.cli.printing import print_json, print_table

    body = {key: value for key, value in (("name", name), ("zone", zone)) if value is not None}
    method = "PATCH" if body else "GET"
    shown = ask(ledger, method, "/api/v1/settings", body or None)
    if as_json:
        print_json(shown)
        return
    rows = [(key, shown[key]) for key in ("tenant_id", "name", "zone", "state")]
    print_table(("setting", "value"), [*rows, *shown["elsewhere"].items()])


def _set_state(tenant_id: str, state: str, target: options.Target) -> None:
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import say

    changed = ask(target, "PATCH", path_of(PATH, tenant_id), {"state": state})
    say(f"Tenant {changed['id']} is {changed['state']}.")
