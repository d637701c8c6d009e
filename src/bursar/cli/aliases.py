"""`bursar prices alias`: names of one's own for models, such as Azure deployments and fine-tunes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.options import examples
from bursar.cli.overrides import (
    Note,
    OneProject,
    Project,
    Reason,
    Until,
    Withdrawn,
    items_of,
    moment,
    print_one,
    print_records,
    withdraw,
)

HELP = "Names of one's own for models: deployments, fine-tunes, profiles; add, list, remove."
PATH = "/api/v1/prices/aliases"
COLUMNS = (
    "id",
    "alias",
    "to_model",
    "to_provider",
    "provider",
    "project_id",
    "valid_from",
    "valid_to",
    "note",
)

app = typer.Typer(no_args_is_help=True)


@app.command(
    "add",
    epilog=examples(
        "bursar prices alias add prod-chat gpt-4o --provider azure",
        "bursar prices alias add ft:gpt-4o:acme::x1 gpt-4o-fine-tuned --from 2026-11-01",
    ),
)
@options.naming_ledger
def add_alias(
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="The name as calls give it.")],
    to_model: Annotated[str, typer.Argument(metavar="MODEL", help="The model that it stands for.")],
    *,
    provider: Annotated[str | None, typer.Option(help="Only calls that name this provider.")] = None,
    to_provider: Annotated[
        str | None, typer.Option(help="Whose model it is. [default: the provider that the call names]")
    ] = None,
    project: Project = None,
    valid_from: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="The first moment.")
    ] = None,
    valid_to: Until = None,
    note: Note = "",
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Say which model a name of your own stands for."""
    from bursar.cli.connection import ask

    body: dict[str, Any] = {
        "alias": alias,
        "to_model": to_model,
        "to_provider": to_provider,
        "provider": provider,
        "project_id": project,
        "valid_from": moment(valid_from),
        "valid_to": moment(valid_to),
        "note": note,
    }
    added = ask(ledger, "POST", PATH, body)
    print_one(f"{added['alias']} stands for {added['to_model']} ({added['id']}).", added, as_json=as_json)


@app.command("list", epilog=examples("bursar prices alias list", "bursar prices alias list --json"))
@options.naming_ledger
def list_aliases(
    *,
    project: OneProject = None,
    withdrawn: Withdrawn = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """List a tenant's aliases, in the order recorded."""
    items = items_of(ledger, PATH, project, {}, withdrawn=withdrawn)
    print_records(items, COLUMNS, items, as_json=as_json)


@app.command("remove", epilog=examples('bursar prices alias remove alias_4f0c... --reason "torn down"'))
@options.naming_ledger
def remove_alias(
    alias_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")],
    *,
    reason: Reason,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Withdraw an alias: the name stands for nothing from now on."""
    gone = withdraw(ledger, PATH, alias_id, reason)
    print_one(f"{gone['alias']} stands for nothing any more.", gone, as_json=as_json)
