"""`bursar backup` and `bursar restore`: a ledger copied beside its server or without one, and made again.

Where a server runs on the folder, it does the copying as a job, which its history then lists. Otherwise
this process does, without opening anything, so that a folder of an older version is copied as it is.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.failures import CommandFailed, ExitCode
from bursar.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bursar.settings import Settings
    from bursar_client import BursarClient

    Tell = Callable[[str, int], None]

BACKUP_EXAMPLES = examples(
    "bursar backup /mnt/backup/bursar",
    "bursar backup /mnt/backup/bursar --without-store --data /srv/bursar",
    "bursar backup /mnt/backup/bursar --check",
)
RESTORE_EXAMPLES = examples(
    "bursar restore /mnt/backup/bursar --data /srv/bursar-restored",
    "DATABASE_URL=postgresql://… bursar restore /mnt/backup/bursar --data /srv/bursar-restored",
)
POLL_SECONDS = 0.2
_OPEN = frozenset({"queued", "running"})


def backup(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The backup's folder, made if absent.")],
    *,
    without_store: Annotated[
        bool,
        typer.Option(help="Leave out what can be derived from the journal; a restore takes longer then."),
    ] = False,
    check: Annotated[
        bool, typer.Option(help="Copy nothing; read the backup that is there and compare checksums.")
    ] = False,
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """Copy the ledger into DIR, beside a running server or without one.

    Later runs copy only what is new. Until a run is complete, the backup before it stays as it was. Keep
    one DIR per ledger; a retention's or an erasure's data leaves it with the next run.
    """
    from bursar.settings import load_settings

    target = directory.expanduser().absolute()
    if check:
        _check(target, as_json=as_json)
        return
    settings = load_settings(data_dir=data)
    _show_backup(_back_up(settings, target, without_store=without_store), as_json=as_json)


def restore(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The backup's folder.")],
    *,
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """Make a new ledger from the backup in DIR, in a folder that is empty or not there, and recount it.

    It has a journal id of its own and goes on far behind the backup's last position, so that the original
    may go on beside it. Tenants, keys and prices go into DATABASE_URL if that is set, which must be empty.
    Exits with 3 if the recount finds a difference.
    """
    from bursar.app.restore import restore_backup
    from bursar.cli.offline import keep_log_quiet
    from bursar.cli.printing import print_json, steps_of
    from bursar.settings import load_settings

    settings = load_settings(data_dir=data)
    keep_log_quiet()
    with steps_of("bytes") as tell:
        report = restore_backup(directory.expanduser().absolute(), settings, tell)
    if as_json:
        print_json({**asdict(report), "is_clean": report.recount.is_clean})
    else:
        print(
            f"Restored {report.data_dir} as of {report.made_at}: {report.recount.events:,} events, journal"
            f" {report.journal_id} (from {report.from_journal_id}, up to {report.last_seq})."
        )
        if report.missing_keys:
            from bursar.identity.credentials.master_keys import missing_key

            print(missing_key(report.missing_keys, ()))
        print(_next_steps(settings) if report.recount.is_clean else "It doesn't tie out: `bursar verify`.")
    if not report.recount.is_clean:
        raise typer.Exit(ExitCode.DIFFERENCES)


def _next_steps(settings: Settings) -> str:
    return (
        "Journal, raw rows, rollups and key index tie out to the last digit.\n"
        f"Next: `bursar serve --data {settings.data_dir}`, with the settings of the original (they are in no"
        " backup). Back it up into a folder of its own."
    )


def _back_up(settings: Settings, target: Path, *, without_store: bool) -> Mapping[str, Any]:
    from bursar.cli.connection import client_of_socket, is_served, refuse_missing_folder, socket_of
    from bursar.cli.offline import back_up_closed
    from bursar.cli.printing import steps_of

    with steps_of("bytes") as tell:
        if is_served(socket_of(settings)):
            with client_of_socket(socket_of(settings)) as client:
                return _back_up_served(client, target, tell, without_store=without_store)
        refuse_missing_folder(settings)
        return asdict(back_up_closed(settings, target, tell, with_store=not without_store))


def _back_up_served(
    client: BursarClient, target: Path, tell: Tell, *, without_store: bool
) -> Mapping[str, Any]:
    """Let the server do it, as a job, and follow the run to its end."""
    asked = {"parameters": {"directory": str(target), "without_store": without_store}}
    run = client.request("POST", "/api/v1/scheduler/jobs/backup/trigger", body=asked)
    while run["state"] in _OPEN:
        tell(run["step"] or "waiting", run["done"] or 0)
        time.sleep(POLL_SECONDS)
        run = client.request("GET", f"/api/v1/scheduler/runs/{run['id']}")
    if run["state"] != "succeeded":
        message = run["error"] or f"The run of the job 'backup' ended as {run['state']}."
        raise CommandFailed(message)
    return run["result"]


def _show_backup(report: Mapping[str, Any], *, as_json: bool) -> None:
    from bursar.cli.diagnosis import show_bytes
    from bursar.cli.printing import print_json

    if as_json:
        print_json(report)
        return
    print(
        f"Backed up into {report['directory']}: {report['files']} files,"
        f" {show_bytes(report['copied_bytes'])} copied, {show_bytes(report['reused_bytes'])} there already;"
        f" complete up to {report['last_seq']}."
    )
    print("Settings, the keys in them and `encryption.key` are in no backup; keep them elsewhere.")


def _check(target: Path, *, as_json: bool) -> None:
    from bursar.cli.printing import print_json, steps_of
    from bursar.storage.backup_folder import damage_in, load_backup

    manifest = load_backup(target)
    with steps_of("bytes") as tell:
        damaged = damage_in(target, manifest, tell)
    if as_json:
        print_json({"directory": str(target), "run": manifest.run, "damaged": damaged})
    elif not damaged:
        print(f"The backup of {manifest.finished_at} is whole: {len(manifest.files)} files.")
    if damaged:
        message = "\n".join([f"The backup in {target} is damaged:", *(f"  {one}" for one in damaged)])
        raise CommandFailed(message)
