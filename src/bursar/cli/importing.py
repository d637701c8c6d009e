"""`bursar import`: brings recorded provider answers, or files of native events, into the ledger.

Everything goes through the HTTP door for imports, which takes any past time. Event ids follow from
what is imported, so that importing twice counts once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bursar.cli import options
from bursar.cli.failures import CommandFailed, ExitCode
from bursar.cli.options import examples

if TYPE_CHECKING:
    from bursar.cli.import_report import Imported
    from bursar.cli.import_sources import Source
    from bursar_client import BursarClient

EXAMPLES = examples(
    "bursar import events.ndjson",
    "bursar import export-*.ndjson --tenant acme",
    "bursar import --provider-responses recorded/",
    "bursar import --provider-responses answer.json --provider openai --json",
)
PATH = "/api/v1/events/import"
EVENTS_PER_STEP = 1_000


Files = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="FILE", help="Files of native events, one JSON object a line.", exists=True, dir_okay=False
    ),
]
Answers = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="A folder (or a file) of recorded provider answers.", exists=True),
]
Provider = Annotated[
    str | None, typer.Option(help="Whose answers they are, where an answer itself doesn't tell.")
]


@options.naming_ledger
def import_usage(
    files: Files = None,
    *,
    provider_responses: Answers = None,
    provider: Provider = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Import native events (NDJSON) or recorded provider answers (JSON and streams), of any age.

    Answers are read as they were recorded: whole bodies, server-sent events, or recordings with their
    request. What has no usage is listed with the reason. Importing the same again counts nothing twice.
    Exits with 1 when an event was refused.
    """
    from bursar.cli.connection import PATIENT, open_ledger
    from bursar.cli.import_report import show_report
    from bursar.cli.import_sources import answers_in, events_in

    if bool(files) == (provider_responses is not None):
        message = "Name files of events, or --provider-responses DIR: one of the two."
        raise typer.BadParameter(message)
    source = answers_in(provider_responses, provider) if provider_responses else events_in(files or [])
    with open_ledger(ledger, PATIENT) as client:
        imported = send(client, source, ledger.tenant)
    show_report(imported, as_json=as_json)
    if not imported.items:
        message = "There was nothing to import: no recorded answer, or no line with an event."
        raise CommandFailed(message)
    if imported.rejected:
        raise typer.Exit(ExitCode.FAILED)


def send(client: BursarClient, source: Source, tenant: str | None) -> Imported:
    """Send everything that a source holds, and keep the account of every item."""
    from bursar.cli.import_report import Imported
    from bursar.cli.printing import progress_of

    imported = Imported(keeps_each=source.is_listed)
    with progress_of("importing", source.count) as advance:
        for step in source.steps(EVENTS_PER_STEP):
            events = [item.event for item in step if item.event is not None]
            result = client.send(events, wait_applied=True, path=PATH, tenant_id=tenant) if events else None
            imported.add(step, result)
            advance(len(step))
    return imported
