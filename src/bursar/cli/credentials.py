"""`bursar credentials`: secrets for providers, entrusted and never shown again.

A secret comes from standard input, a file or a prompt, never from the command line, which other users of the
machine and the shell's history can read.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bursar.cli import options
from bursar.cli.failures import CommandFailed
from bursar.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

HELP = "Credentials for providers: entrust, replace, revoke; their secrets are never shown."
PATH = "/api/v1/credentials"
COLUMNS = (
    "id",
    "provider",
    "name",
    "masked",
    "state",
    "created_at",
    "replaced_at",
    "last_used_at",
    "last_used_for",
)

app = typer.Typer(no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="Its id, as `list` shows it.")]
File = Annotated[Path, typer.Option("--file", metavar="FILE", help="Holds the secret; - for standard input.")]


@app.command(
    "list", epilog=examples("bursar credentials list", "bursar credentials list --tenant acme --json")
)
@options.naming_ledger
def list_credentials(*, ledger: options.Ledger, as_json: options.AsJson = False) -> None:
    """List the tenant's credentials, masked, revoked ones included."""
    from bursar.cli.connection import ask_list
    from bursar.cli.printing import print_items

    items = ask_list(ledger, PATH)
    print_items(items, COLUMNS, as_json=as_json)


@app.command(
    epilog=examples(
        "bursar credentials add --provider openai --name admin",
        "pass show openai/admin | bursar credentials add --provider openai --name admin",
        "bursar credentials add --provider vertex --name billing --file service-account.json",
    )
)
@options.naming_ledger
def add(
    *,
    provider: Annotated[str, typer.Option(help="Whose it is: openai, anthropic, …")],
    name: Annotated[str, typer.Option(help="What it is for, in your words.")],
    file: File = Path("-"),
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Entrust a secret, read from standard input (asked for on a terminal) or a file.

    A line break at its end isn't part of it.
    """
    from bursar.cli.connection import ask

    body = {"provider": provider, "name": name, "secret": _read_secret(file)}
    made = ask(ledger, "POST", PATH, body)
    _show(made, f"Entrusted {made['provider']} '{made['name']}' as {made['id']}.", as_json=as_json)


@app.command(epilog=examples("bursar credentials replace crd_4f0c… < new-secret"))
@options.naming_ledger
def replace(
    credential_id: Id, *, file: File = Path("-"), ledger: options.Ledger, as_json: options.AsJson = False
) -> None:
    """Replace a credential's secret; the one before is overwritten."""
    from bursar.cli.connection import ask, path_of

    body = {"secret": _read_secret(file)}
    made = ask(ledger, "PUT", f"{path_of(PATH, credential_id)}/secret", body)
    _show(made, f"Replaced the secret of {made['id']}: {made['masked']}.", as_json=as_json)


@app.command(epilog=examples("bursar credentials revoke crd_4f0c…"))
@options.naming_ledger
def revoke(credential_id: Id, *, ledger: options.Ledger, as_json: options.AsJson = False) -> None:
    """Revoke a credential: its secret is destroyed, its name is free again. Revoke it at its provider too."""
    from bursar.cli.connection import ask, path_of

    made = ask(ledger, "DELETE", path_of(PATH, credential_id))
    _show(made, f"Revoked {made['id']}; its secret is destroyed.", as_json=as_json)


def _read_secret(file: Path) -> str:
    try:
        if str(file) != "-":
            text = file.read_text(encoding="utf-8")
        elif sys.stdin.isatty():
            text = str(typer.prompt("Secret", hide_input=True, err=True))
        else:
            text = sys.stdin.buffer.read().decode()
    except OSError as error:
        message = f"{file} can't be read: {error.strerror or error}."
        raise CommandFailed(message) from error
    except UnicodeDecodeError:
        # Without the bytes in question.
        message = f"{file} is no text in UTF-8."
        raise CommandFailed(message) from None
    return text.removesuffix("\n").removesuffix("\r")


def _show(made: Mapping[str, object], said: str, *, as_json: bool) -> None:
    from bursar.cli.printing import print_json

    if as_json:
        print_json(made)
    else:
        print(said)
