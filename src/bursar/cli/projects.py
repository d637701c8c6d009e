"""`bursar projects`: makes, lists, changes, suspends and deletes a tenant's projects, what it spends on."""

from __future__ import annotations

from typing import Annotated

import typer

from bursar.cli import changing, options
from bursar.cli.options import examples

HELP = "Projects of a tenant: make, list, show, rename, suspend, delete."
COLUMNS = ("id", "name", "tenant_id", "state", "owner", "cost_centre", "created_at")
PATH = "/api/v1/projects"

app = typer.Typer(no_args_is_help=True)

_Id = Annotated[str, typer.Argument(metavar="ID", help="The project's id.")]


@app.command(epilog=examples("bursar projects create --name 'Support chat' --id support"))
@options.naming_ledger
def create(
    *,
    name: Annotated[str, typer.Option(help="Its name for people.")],
    project_id: Annotated[
        str | None, typer.Option("--id", help="The id that events name; made up if absent.")
    ] = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Make a project. Events count for it by its id, whether or not it was made first."""
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_json

    body = {"id": project_id, "name": name, "tenant_id": ledger.tenant}
    with open_ledger(ledger) as client:
        made = client.request("POST", PATH, body=body)
    if as_json:
        print_json(made)
    else:
        print(f"Made project {made['id']} ({made['name']}) of tenant {made['tenant_id']}.")


@app.command("list", epilog=examples("bursar projects list", "bursar projects list --tenant acme --json"))
@options.naming_ledger
def list_projects(
    *,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """List a tenant's projects in order of creation, with the owner and cost centre of today."""
    from bursar.cli.connection import ask_list
    from bursar.cli.printing import print_items

    items = ask_list(ledger, PATH)
    print_items(items, COLUMNS, as_json=as_json)


@app.command(epilog=examples("bursar projects show support"))
@options.naming_ledger
def show(project_id: _Id, *, ledger: options.Ledger, as_json: options.AsJson = False) -> None:
    """Show one project."""
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import print_one

    found = ask(ledger, "GET", path_of(PATH, project_id))
    print_one(found, as_json=as_json)


@app.command(epilog=examples("bursar projects rename support 'Support and chat'"))
@options.naming_ledger
def rename(
    project_id: _Id,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.")],
    *,
    ledger: options.Ledger,
) -> None:
    """Give a project another name; its id stays."""
    from bursar.cli.connection import ask, path_of

    changed = ask(ledger, "PATCH", path_of(PATH, project_id), {"name": name})
    print(f"{changed['id']} is called {changed['name']} now.")


@app.command(epilog=examples("bursar projects delete support --reason 'moved to another ledger'"))
@options.naming_ledger
def delete(
    project_id: _Id,
    *,
    reason: changing.Reason = None,
    leave_elsewhere: changing.LeaveElsewhere = False,
    yes: changing.Yes = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Delete a project with all it has: usage, journal, keys, roles in it. Its usage is refused at once.

    What closed months billed for it stays in them as a sum without its name. `bursar verify --gone
    TENANT/PROJECT` proves that nothing else is left.
    """
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_json, say

    why = changing.need_reason(reason)
    changing.confirm(f"Delete project {project_id} with all it has? This can't be undone.", yes=yes)
    with open_ledger(ledger) as client:
        changes = client.changes.for_tenant(ledger.tenant)
        answer = changes.delete_project(project_id, reason=why, leave_elsewhere=leave_elsewhere)
        run = changing.finish_run(client, answer, ledger.tenant)
    if as_json:
        print_json(run)
        return
    result = run["result"]
    say(
        f"Deleted project {project_id}: {result['events']} events, {result['keys']} keys;"
        f" {sum(result['rows_left'].values())} rows are left."
    )


@app.command(epilog=examples("bursar projects suspend support --tenant acme"))
@options.naming_ledger
def suspend(project_id: _Id, *, ledger: options.Ledger) -> None:
    """Refuse new events that name a project; what it has stays readable."""
    _set_state(project_id, "suspended", ledger)


@app.command(epilog=examples("bursar projects resume support --tenant acme"))
@options.naming_ledger
def resume(project_id: _Id, *, ledger: options.Ledger) -> None:
    """Take a suspended project's usage again."""
    _set_state(project_id, "active", ledger)


def _set_state(project_id: str, state: str, ledger: options.Ledger) -> None:
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import say

    changed = ask(ledger, "PATCH", path_of(PATH, project_id), {"state": state})
    say(f"Project {changed['id']} of tenant {changed['tenant_id']} is {changed['state']}.")
