"""`bursar secrets`: the keys that seal what tenants entrust. What is sealed is `bursar credentials`'."""

from __future__ import annotations

import typer

from bursar.cli import options
from bursar.cli.options import examples

HELP = "Encryption keys of sealed secrets: list, check, rotate."
PATH = "/api/v1/secrets"
COLUMNS = ("key_id", "seals_new", "is_at_hand", "secrets")

app = typer.Typer(no_args_is_help=True)


@app.command("list", epilog=examples("bursar secrets list", "bursar secrets list --json"))
@options.naming_ledger
def list_keys(*, target: options.Target, as_json: options.AsJson = False) -> None:
    """List the encryption keys by their ids, and how many secrets of all tenants each of them seals.

    A key that isn't at hand must be given again; one that seals nothing, and nothing new, can be dropped.
    """
    from bursar.cli.connection import ask
    from bursar.cli.printing import print_items

    items = ask(target, "GET", f"{PATH}/keys")["items"]
    print_items(items, COLUMNS, as_json=as_json)


@app.command(epilog=examples("bursar secrets check"))
@options.naming_ledger
def check(*, target: options.Target, as_json: options.AsJson = False) -> None:
    """Open every secret of all tenants, show none, and list those that don't open (exit code 3)."""
    from bursar.cli.connection import ask
    from bursar.cli.failures import ExitCode
    from bursar.cli.printing import print_json, print_table

    found = ask(target, "POST", f"{PATH}/check")
    unreadable = found["unreadable"]
    if as_json:
        print_json(found)
    elif unreadable:
        columns = ("tenant_id", "credential_id", "key_id", "detail")
        print_table(columns, [[one[column] for column in columns] for one in unreadable])
    else:
        print(f"All {found['checked']} secrets open.")
    if unreadable:
        raise typer.Exit(ExitCode.DIFFERENCES)


@app.command(
    epilog=examples(
        'export BURSAR_ENCRYPTION_KEY="$(bursar secrets new-key),$BURSAR_ENCRYPTION_KEY"  # then restart',
        "bursar secrets rotate",
        "bursar secrets list",
    )
)
@options.naming_ledger
def rotate(*, target: options.Target, as_json: options.AsJson = False) -> None:
    """Seal every secret of all tenants anew by the first encryption key, where another one has.

    Put a new key before the old ones and restart the server; then rotate; then `list` shows which keys can
    be dropped. Killed in between, just run it again. Backups from before still need the old key.
    """
    from bursar.cli.connection import ask
    from bursar.cli.printing import print_json

    done = ask(target, "POST", f"{PATH}/rotate")
    if as_json:
        print_json(done)
        return
    left = f" {done['left']} were changed meanwhile; run it again." if done["left"] else ""
    print(f"Sealed {done['rotated']} secrets anew by {done['key_id']}.{left}")


@app.command("new-key", epilog=examples("bursar secrets new-key > /etc/bursar/encryption.key"))
def new_key() -> None:
    """Print a fresh encryption key, for BURSAR_ENCRYPTION_KEY or its file; keeps it nowhere."""
    from bursar.identity.credentials.master_keys import new_key_text

    print(new_key_text())
