"""`bursar db`: versions of state store and data folder. A server brings them up to date when it starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bursar.settings import Settings
    from bursar.storage.folder_format import PartVersion
    from bursar.storage.relational.migrate import MigrationStatus

HELP = "The state store (tenants, keys, prices) and the data folder: their versions and upgrades."

app = typer.Typer(no_args_is_help=True)


@app.command(
    epilog=examples("bursar db status", "BURSAR_DATABASE_URL=postgresql://… bursar db status --json")
)
def status(*, data: options.Data = None, as_json: options.AsJson = False) -> None:
    """Say which versions state store and folder have, and what an upgrade would do; changes nothing."""
    from bursar.cli.offline import folder_versions, state_status

    settings = _settings(data)
    _show(_described(settings, state_status(settings), folder_versions(settings)), as_json=as_json)


@app.command(
    epilog=examples(
        "bursar db upgrade",
        "bursar db upgrade --data /srv/bursar --backup /mnt/backup/before-upgrade",
        "bursar db upgrade --no-backup",
    )
)
def upgrade(
    *,
    backup: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the backup goes. [default: beside BURSAR_BACKUP_DIR or the data folder]",
        ),
    ] = None,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="Upgrade without a backup.")] = False,
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """Bring state store and folder up to date, after a backup; does nothing where they are.

    Needs the folder to itself: stop the server first. A crash in between leaves the rest to the next
    start. The way back is `bursar restore` with the version that wrote the folder before.
    """
    from bursar.app.before_upgrade import backup_place
    from bursar.cli.offline import folder_versions, is_up_to_date, state_status, upgrade_everything
    from bursar.cli.printing import steps_of

    settings = _settings(data)
    if is_up_to_date(settings):
        found, place = (state_status(settings), folder_versions(settings)), None
    else:
        place = None if no_backup or not folder_versions(settings) else backup or backup_place(settings)
        with steps_of("bytes or records") as tell:
            found = upgrade_everything(settings, place, tell)
    _show({**_described(settings, *found), "backup": place and str(place)}, as_json=as_json)


def _settings(data: Path | None) -> Settings:
    from bursar.cli.connection import refuse_missing_folder
    from bursar.settings import load_settings

    settings = load_settings(data_dir=data)
    if settings.database_url is None and not settings.data_dir.is_dir():
        # SQLite would make an empty file of a mistyped folder.
        refuse_missing_folder(settings)
    return settings


def _described(settings: Settings, state: MigrationStatus, parts: Sequence[PartVersion]) -> dict[str, Any]:
    return {
        "store": "PostgreSQL" if settings.database_url else "SQLite",
        "current": state.current,
        "head": state.head,
        "pending": list(state.pending),
        "folder": {part.name: {"found": part.found, "newest": part.current} for part in parts},
    }


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    from bursar.cli.printing import print_json, print_table

    if as_json:
        print_json(found)
        return
    pending = ", ".join(found["pending"]) or "nothing"
    rows = [(f"{found['store']} state store", found["current"] or "none", found["head"], pending)]
    for name, part in found["folder"].items():
        todo = "an upgrade" if part["found"] < part["newest"] else "nothing"
        rows.append((name, part["found"], part["newest"], todo))
    print_table(("part", "version", "newest", "pending"), rows)
    if found.get("backup"):
        print(f"The backup from before is in {found['backup']}.")
