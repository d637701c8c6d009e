"""`bursar roles`: what roles grant, and who has which. The rules are the server's (`identity/roles.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.options import examples

HELP = "Roles of people: list, show, make, change, remove; give, take, see who has which."
PATH = "/api/v1/roles"
BINDINGS = "/api/v1/role-bindings"
COLUMNS = ("name", "description", "is_built_in", "permissions")
BINDING_COLUMNS = ("user_id", "role", "project_id", "granted_by", "granted_at")

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="ROLE", help="The role's name.")]
User = Annotated[str, typer.Argument(metavar="USER_ID", help="The user's id.")]
Allowed = Annotated[
    list[str],
    typer.Option("--permission", help="What it grants, such as cost:read; repeat. The reference lists all."),
]
Description = Annotated[str, typer.Option(help="What the role is for, in your words.")]
Project = Annotated[str | None, typer.Option(help="Only in this project; in the whole tenant if absent.")]


@app.command("list", epilog=examples("bursar roles list", "bursar roles list --tenant acme --json"))
@options.naming_ledger
def list_roles(*, ledger: options.Ledger, as_json: options.AsJson = False) -> None:
    """List a tenant's roles, built-in ones first, with what each grants."""
    from bursar.cli.connection import ask
    from bursar.cli.printing import print_items

    items = ask(ledger, "GET", PATH)["items"]
    print_items(items, COLUMNS, as_json=as_json)


@app.command(epilog=examples("bursar roles show analyst"))
@options.naming_ledger
def show(name: Name, *, ledger: options.Ledger, as_json: options.AsJson = False) -> None:
    """Show one role: what it is for, and what it grants."""
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import print_one

    found = ask(ledger, "GET", path_of(PATH, name))
    print_one(found, as_json=as_json)


@app.command(epilog=examples("bursar roles create billing --permission cost:read --permission billing:read"))
@options.naming_ledger
def create(
    name: Name,
    *,
    permission: Allowed,
    description: Description = "",
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Make a role of the tenant's own. Nobody makes one that grants more than they have."""
    from bursar.cli.connection import ask

    body = {"name": name, "permissions": permission, "description": description}
    _tell(ask(ledger, "POST", PATH, body), f"Made the role {name}.", as_json=as_json)


@app.command(epilog=examples("bursar roles change billing --permission cost:read"))
@options.naming_ledger
def change(
    name: Name,
    *,
    permission: Allowed,
    description: Description = "",
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Let a role grant exactly this, to everybody who has it, within 5 seconds."""
    from bursar.cli.connection import ask, path_of

    body = {"permissions": permission, "description": description}
    _tell(ask(ledger, "PUT", path_of(PATH, name), body), f"Changed the role {name}.", as_json=as_json)


@app.command(epilog=examples("bursar roles remove billing"))
@options.naming_ledger
def remove(name: Name, *, ledger: options.Ledger) -> None:
    """Forget a role of the tenant's own that nobody has."""
    from bursar.cli.connection import ask, path_of

    ask(ledger, "DELETE", path_of(PATH, name))
    print(f"Removed the role {name}.")


@app.command(
    epilog=examples(
        "bursar roles give usr_4f0c81 analyst", "bursar roles give usr_4f0c81 member --project search"
    )
)
@options.naming_ledger
def give(
    user_id: User,
    role: Name,
    *,
    project: Project = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Give somebody a role, in the whole tenant or in one project, effective within 5 seconds."""
    from bursar.cli.connection import ask

    body = {"user_id": user_id, "role": role, "project_id": project}
    _tell(ask(ledger, "POST", BINDINGS, body), f"{user_id} has the role {role} now.", as_json=as_json)


@app.command(epilog=examples("bursar roles take usr_4f0c81 member --project search"))
@options.naming_ledger
def take(user_id: User, role: Name, *, project: Project = None, ledger: options.Ledger) -> None:
    """Take a role from somebody, effective within 5 seconds."""
    from bursar.cli.connection import open_ledger

    named = {"user_id": user_id, "role": role, **({} if project is None else {"project_id": project})}
    with open_ledger(ledger) as client:
        client.request("DELETE", BINDINGS, params={**ledger.params, **named})
    print(f"{user_id} doesn't have the role {role} any more.")


@app.command(epilog=examples("bursar roles holders", "bursar roles holders --user usr_4f0c81"))
@options.naming_ledger
def holders(
    *,
    user: Annotated[str | None, typer.Option(help="Only this user's.")] = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Show who has which role where, who gave it and when."""
    from bursar.cli.connection import open_ledger, whole_list
    from bursar.cli.printing import print_items

    named = {} if user is None else {"user_id": user}
    with open_ledger(ledger) as client:
        items = whole_list(client, BINDINGS, {**ledger.params, **named})
    print_items(items, BINDING_COLUMNS, as_json=as_json)


def _tell(made: Mapping[str, Any], said: str, *, as_json: bool) -> None:
    from bursar.cli.printing import print_json

    if as_json:
        print_json(made)
    else:
        print(said)
