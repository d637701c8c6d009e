"""`bursar scheduler`: the jobs, when they run and what became of their runs; starts and cancels them.

Without a server the folder is served in this process as long as the command runs. It begins no job of
its own accord meanwhile, and a job that it starts is waited for.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import changing, options
from bursar.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

HELP = "Jobs: what runs when, what became of it; start and cancel."
PATH = "/api/v1/scheduler"
_NO_RUN = {"state": None}
RUN_COLUMNS = ("id", "job_id", "tenant_id", "state", "trigger", "step", "created_at", "finished_at", "error")

app = typer.Typer(no_args_is_help=True)

JobId = Annotated[str, typer.Argument(metavar="JOB", help="A job's id as `bursar scheduler jobs` shows it.")]
RunId = Annotated[
    str, typer.Argument(metavar="RUN_ID", help="The id as `bursar scheduler history` shows it.")
]


@app.command(epilog=examples("bursar scheduler status", "bursar scheduler status --json"))
@options.naming_ledger
def status(
    *,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Say who runs jobs, what waits and what is at work."""
    found = _get("/status", ledger)
    _print_fields(found, as_json=as_json)


@app.command(epilog=examples("bursar scheduler jobs", "bursar scheduler jobs --json"))
@options.naming_ledger
def jobs(
    *,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """List the jobs with their schedule, next run and last outcome."""
    from bursar.cli.printing import print_json, print_table

    items = _get("/jobs", ledger)["items"]
    if as_json:
        print_json(items)
        return
    rows: list[list[object]] = [
        [one["id"], one["title"], one["schedule"], one["next_run_at"], (one["last_run"] or _NO_RUN)["state"]]
        for one in items
    ]
    print_table(("id", "title", "schedule", "next_run_at", "last_run"), rows)


@app.command(
    epilog=examples(
        "bursar scheduler trigger compaction",
        "bursar scheduler trigger retention --tenant acme --param dry_run=true",
        "bursar scheduler trigger backup --background",
    )
)
@options.naming_ledger
def trigger(
    job: JobId,
    *,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="What the job is to be told; repeat for several."),
    ] = None,
    background: Annotated[
        bool, typer.Option("--background", help="Don't wait for its end; needs a running server.")
    ] = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Start a job now and wait for its end. A value is read as JSON if it is any, else as text.

    Interrupting the command doesn't end the run, unless no server holds the folder.
    """
    from bursar.cli.connection import open_ledger, path_of

    body = {"parameters": dict(map(_parameter, param or []))}
    with open_ledger(ledger) as client:
        path = path_of(f"{PATH}/jobs", job) + "/trigger"
        run = client.request("POST", path, body=body, params=ledger.params)
        if not background:
            run = changing.finish_run(client, {"run": run}, ledger.tenant)
    _print_fields(run, as_json=as_json)


@app.command(
    epilog=examples(
        "bursar scheduler history",
        "bursar scheduler history --job retention --state failed --state timed_out",
        "bursar scheduler history --tenant acme --limit 500 --json",
    )
)
@options.naming_ledger
def history(
    *,
    job: Annotated[str | None, typer.Option(help="Only runs of this job.")] = None,
    state: Annotated[
        list[str] | None, typer.Option(help="Only runs in this state; repeat for several.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 50,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """List runs, newest first."""
    from bursar.cli.printing import print_items

    asked: dict[str, Any] = {"limit": limit, "state": state or []}
    asked |= {} if job is None else {"job": job}
    items = _get("/history", ledger, asked)["items"]
    print_items(items, RUN_COLUMNS, as_json=as_json)


@app.command("next", epilog=examples("bursar scheduler next", "bursar scheduler next --json"))
@options.naming_ledger
def next_runs(
    *,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Say which job runs next by itself, and when."""
    from bursar.cli.printing import print_items

    items = _get("/next-runs", ledger)["items"]
    print_items(items, ("at", "job_id", "title"), as_json=as_json)


@app.command(epilog=examples("bursar scheduler health", "bursar scheduler health --json"))
@options.naming_ledger
def health(
    *,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Say how the scheduler is and what is wrong with it."""
    from bursar.cli.failures import CommandFailed

    found = _get("/health", ledger)
    _print_fields(found, as_json=as_json)
    if found["status"] != "healthy":
        message = f"The scheduler is {found['status']}."
        raise CommandFailed(message)


@app.command(epilog=examples("bursar scheduler run run_019cae6b-6600-7f20-98fc-90be567c22c5"))
@options.naming_ledger
def run(
    run_id: RunId,
    *,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Show one run: how far it is, what came of it, who was told."""
    from bursar.cli.connection import path_of

    _print_fields(_get(path_of("/runs", run_id), ledger), as_json=as_json)


@app.command(epilog=examples("bursar scheduler cancel run_019cae6b-6600-7f20-98fc-90be567c22c5"))
@options.naming_ledger
def cancel(
    run_id: RunId,
    *,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Let a queued run never begin, or tell one at work to stop."""
    from bursar.cli.connection import ask, path_of

    found = ask(ledger, "POST", path_of(f"{PATH}/runs", run_id) + "/cancel")
    _print_fields(found, as_json=as_json)


def _get(path: str, ledger: options.Ledger, asked: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    from bursar.cli.connection import open_ledger

    with open_ledger(ledger) as client:
        return client.request("GET", PATH + path, params={**ledger.params, **(asked or {})})


def _print_fields(found: Mapping[str, Any], *, as_json: bool) -> None:
    from bursar.cli.printing import print_json, print_table

    if as_json:
        print_json(found)
    else:
        print_table(("field", "value"), [(name, _shown(value)) for name, value in found.items()])


def _shown(value: Any) -> object:  # noqa: ANN401 - whatever the answer holds
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False) if value else None
    return value


def _parameter(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        message = f"'{text}' isn't NAME=VALUE"
        raise typer.BadParameter(message, param_hint="--param")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
