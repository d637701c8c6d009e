"""`bursar db`: the state store's migrations. A server brings them up to date itself when it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from bursar.cli import options
from bursar.cli.options import examples

if TYPE_CHECKING:
    from pathlib import Path

    from bursar.settings import Settings
    from bursar.storage.relational.migrate import MigrationStatus

HELP = "The state store (tenants, keys, prices): its migrations."

app = typer.Typer(no_args_is_help=True)


@app.command(
    epilog=examples("bursar db status", "BURSAR_DATABASE_URL=postgresql://… bursar db status --json")
)
def status(*, data: options.Data = None, as_json: options.AsJson = False) -> None:
    """Say which migrations are done and which are pending; changes nothing."""
    from bursar.cli.offline import state_status

    settings = _settings(data)
    _show(settings, state_status(settings), as_json=as_json)


@app.command(epilog=examples("bursar db upgrade", "bursar db upgrade --data /srv/bursar"))
def upgrade(*, data: options.Data = None, as_json: options.AsJson = False) -> None:
    """Do every pending migration, all or none; does nothing where there is none."""
    from bursar.cli.offline import upgrade_state

    settings = _settings(data)
    _show(settings, upgrade_state(settings), as_json=as_json)


def _settings(data: Path | None) -> Settings:
    from bursar.cli.connection import refuse_missing_folder
    from bursar.settings import load_settings

    settings = load_settings(data_dir=data)
    if settings.database_url is None:
        # SQLite would make an empty file of a mistyped folder.
        refuse_missing_folder(settings)
    return settings


def _show(settings: Settings, found: MigrationStatus, *, as_json: bool) -> None:
    from bursar.cli.printing import print_json

    store = "PostgreSQL" if settings.database_url else "SQLite"
    shown: dict[str, Any] = {
        "store": store,
        "current": found.current,
        "head": found.head,
        "pending": list(found.pending),
    }
    if as_json:
        print_json(shown)
        return
    todo = f"pending: {', '.join(found.pending)}" if found.pending else "nothing pending"
    print(f"{store} state store at {found.current or 'no migration'}, {todo} (newest: {found.head}).")
