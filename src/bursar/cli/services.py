"""`bursar services`: the services whose usage a tenant records, their fields and their billing."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.json_files import JsonFile, read_object
from bursar.cli.options import examples
from bursar.usage.json_shape import is_list

HELP = "Services of a tenant, other than language models too: register, show, retire."
PATH = "/api/v1/services"
COLUMNS = ("service_type", "service_name", "version", "is_built_in", "recorded_at")

app = typer.Typer(no_args_is_help=True)

Type = Annotated[str, typer.Argument(metavar="TYPE", help="Its `service_type`.")]


@app.command("list", epilog=examples("bursar services list", "bursar services list --tenant acme --json"))
@options.naming_ledger
def list_services(*, ledger: options.Ledger, as_json: options.AsJson = False) -> None:
    """List the services that are built in, and the tenant's own in their latest version."""
    from bursar.cli.connection import ask
    from bursar.cli.printing import print_items

    items = ask(ledger, "GET", PATH)["items"]
    print_items(items, COLUMNS, as_json=as_json)


@app.command(epilog=examples("bursar services show ocr", "bursar services show ocr --version 1 --json"))
@options.naming_ledger
def show(
    service_type: Type,
    *,
    version: Annotated[int | None, typer.Option(help="An earlier version; the latest if absent.")] = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Show a service: its providers, fields, JSON Schema and billing."""
    from bursar.cli.connection import open_ledger, path_of
    from bursar.cli.printing import print_json, print_table

    params = {**ledger.params, **({} if version is None else {"version": version})}
    with open_ledger(ledger) as client:
        found = client.request("GET", path_of(PATH, service_type), params=params)
    if as_json:
        print_json(found)
    else:
        print_table(("", service_type), [(name, _shown(value)) for name, value in found.items()])


@app.command(
    epilog=examples(
        "bursar services register ocr.json",
        "bursar services register ocr.json --new-version",
        'echo \'{"service_type": "ocr", "billing_config": {"unit": "pages", "rate": 0.01}}\''
        " | bursar services register -",
    )
)
@options.naming_ledger
def register(
    file: JsonFile,
    *,
    new_version: Annotated[
        bool, typer.Option("--new-version", help="Of a service that is registered already.")
    ] = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Register a service. Its events are checked and billed by it at once; earlier versions are kept.

    The file says `service_type` and, as wanted, `service_name`, `providers`, `required_fields`,
    `optional_fields`, `validation_schema` (JSON Schema) and `billing_config`.
    """
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import print_json

    content, body = read_object(file)
    path = path_of(PATH, str(body.get("service_type"))) if new_version else PATH
    made = ask(ledger, "PUT" if new_version else "POST", path, content)
    if as_json:
        print_json(made)
    else:
        print(f"Registered {made['service_type']}, version {made['version']}.")


@app.command(epilog=examples("bursar services retire ocr"))
@options.naming_ledger
def retire(service_type: Type, *, ledger: options.Ledger, as_json: options.AsJson = False) -> None:
    """Retire a service: its events are no longer checked, nor billed as it says. What it billed stays."""
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import print_json

    made = ask(ledger, "DELETE", path_of(PATH, service_type))
    if as_json:
        print_json(made)
    else:
        print(f"Retired {service_type}; its {made['version'] - 1} versions can still be shown.")


def _shown(value: Any) -> str:  # noqa: ANN401 - any JSON
    import json

    if is_list(value):
        return ", ".join(str(one) for one in value)
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)
