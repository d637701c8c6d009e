"""`bursar retention` and `bursar expire`: for how long data is kept, and removing what is older."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import changing, options
from bursar.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

HELP = "For how many days data is kept, of a tenant or of a project: show, set."
PATH = "/api/v1/retention"
PROJECTS = "/api/v1/projects"
EXPIRE_EXAMPLES = examples(
    "bursar expire --dry-run",
    "bursar expire --tenant acme",
    "bursar expire --dry-run --tenant acme --json",
)
KINDS = ("events", "rollups", "quarantine")
KINDS_OF_PROJECTS = KINDS[:2]
FORM = "a number of days (90d), `forever` or `default`"

app = typer.Typer(no_args_is_help=True)

Kept = Annotated[str | None, typer.Option(metavar="DAYS", help=f"{FORM}; unchanged if absent.")]
Project = Annotated[
    str | None,
    typer.Option("--project", metavar="ID", help="One project of the tenant instead of all of it."),
]


@app.command(epilog=examples("bursar retention show", "bursar retention show --tenant acme --project search"))
@options.naming_ledger
def show(
    *,
    project: Project = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Say for how many days data of a tenant or a project is kept, and who chose that."""
    from bursar.cli.connection import ask

    found = ask(ledger, "GET", _path(project))
    _print(found, as_json=as_json)


@app.command(
    "set",
    epilog=examples(
        "bursar retention set --events 90d --rollups 730d",
        "bursar retention set --tenant acme --events forever",
        "bursar retention set --quarantine default",
        "bursar retention set --project search --events 40d",
    ),
)
@options.naming_ledger
def set_days(
    *,
    events: Kept = None,
    rollups: Kept = None,
    quarantine: Kept = None,
    project: Project = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Choose for how many days raw events, sums and refused records are kept.

    A project may be kept for fewer days than its tenant, never for more; `default` leaves it to the tenant's.
    Older events are refused at once, and removed for good by the next expiry. `bursar expire --dry-run`
    says beforehand what that would be.
    """
    from bursar.cli.connection import open_ledger

    asked = dict(zip(KINDS, (events, rollups, quarantine), strict=True))
    if not any(asked.values()):
        message = "Say what to keep for how long: --events, --rollups or --quarantine."
        raise typer.BadParameter(message)
    if project is not None and quarantine is not None:
        message = "Refused records are of no project; set the days of the tenant."
        raise typer.BadParameter(message, param_hint="--quarantine")
    days = {f"{kind}_days": _days(kind, text) for kind, text in asked.items() if text is not None}
    with open_ledger(ledger) as client:
        params, path = ledger.params, _path(project)
        body = {**client.request("GET", path, params=params)["chosen"], **days}
        found = client.request("PUT", path, body=body, params=params)
    _print(found, as_json=as_json)


@options.naming_ledger
def expire(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Remove what its tenant's retention doesn't cover any more, now instead of tonight.

    The operator's key means all tenants unless it names one.
    """
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_json, print_table

    path = "/api/v1/scheduler/jobs/retention/trigger"
    body = {"parameters": {"dry_run": True} if dry_run else {}}
    with open_ledger(ledger) as client:
        run = client.request("POST", path, body=body, params=ledger.params)
        result = changing.finish_run(client, {"run": run}, ledger.tenant)["result"]
    if as_json:
        print_json(result)
        return
    rows = [
        (
            one["tenant_id"],
            one.get("project_id", ""),
            one["what"],
            one["before"],
            one.get("events", one.get("records")),
            _cost(one),
        )
        for one in result["expired"]
    ]
    if not rows:
        print("Nothing has expired.")
        return
    print_table(("tenant", "project", "what", "before", "number", "cost"), rows, numbers=("number", "cost"))
    print("Nothing was removed: this was a dry run." if dry_run else "Removed for good.")


def _print(found: Mapping[str, Any], *, as_json: bool) -> None:
    from bursar.cli.printing import print_json, print_table

    if as_json:
        print_json(found)
        return
    project = found.get("project_id")
    rows: list[tuple[str, str, str]] = []
    for kind in KINDS if project is None else KINDS_OF_PROJECTS:
        days, chosen = found[f"{kind}_days"], found["chosen"][f"{kind}_days"]
        if project is None:
            by = "default" if chosen is None else "tenant"
        else:
            by = "project" if chosen == days else "tenant"
        rows.append((kind, _shown(days), by))
    whose = f"Tenant {found['tenant_id']}" if project is None else f"Project {project}"
    print_table(("kept", "for", "chosen by"), rows, title=whose)
    if found["events_from"]:
        print(f"Events from before {found['events_from']} are refused.")


def _path(project: str | None) -> str:
    from bursar.cli.connection import path_of

    return PATH if project is None else path_of(PROJECTS, project) + "/retention"


def _shown(days: int) -> str:
    return "ever" if days == 0 else f"{days} days"


def _cost(one: Mapping[str, Any]) -> str:
    return ", ".join(f"{amount['amount'] or '?'} {amount['currency']}" for amount in one.get("cost", []))


def _days(kind: str, text: str) -> int | None:
    if text == "default":
        return None
    if text == "forever":
        return 0
    found = re.fullmatch(r"([1-9][0-9]{0,4})d?", text)
    if found is None:
        message = f"'{text}' is not {FORM}"
        raise typer.BadParameter(message, param_hint=f"--{kind}")
    return int(found[1])
