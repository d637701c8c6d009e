"""`bursar audit`: who did what that matters, whether that log is whole, and all of it as a file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.failures import ExitCode
from bursar.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

HELP = "Audit log: list, verify, export."
PATH = "/api/v1/audit"
PAGE = 500
COLUMNS = ("number", "at", "act", "outcome", "who", "target", "address")

app = typer.Typer(no_args_is_help=True)

Act = Annotated[
    str | None, typer.Option(metavar="ACT", help="Only this act; `key.` with its dot means all of keys.")
]
Since = Annotated[str | None, typer.Option("--from", metavar="TIME", help="From this RFC 3339 time on.")]
Until = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Before this RFC 3339 time.")]


@app.command(
    "list",
    epilog=examples(
        "bursar audit list",
        "bursar audit list --act key. --tenant acme",
        "bursar audit list --outcome refused --from 2026-11-01T00:00:00Z --json",
    ),
)
@options.naming_ledger
def list_entries(
    *,
    act: Act = None,
    outcome: Annotated[
        str | None, typer.Option(metavar="OUTCOME", help="Only begun, done, refused or failed.")
    ] = None,
    actor: Annotated[str | None, typer.Option(metavar="ID", help="Only what this id did.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=PAGE, help="How many, the latest first.")] = 50,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """List who did what, the latest first.

    Every act has two entries: `begun` before it is carried out, and what came of it. The operator who names
    no tenant sees the platform's entries, others those of their tenant.
    """
    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_json, print_table

    asked = {"act": act, "outcome": outcome, "actor": actor, "from": since, "to": until, "limit": limit}
    params = {**ledger.params, **{name: value for name, value in asked.items() if value is not None}}
    with open_ledger(ledger) as client:
        items = client.request("GET", PATH, params=params)["items"]
    if as_json:
        print_json(items)
        return
    if not items:
        print("There is no such entry.")
        return
    print_table(COLUMNS, [_row(one) for one in items], numbers=("number",))


@app.command(epilog=examples("bursar audit verify", "bursar audit verify --tenant acme --json"))
@options.naming_ledger
def verify(
    *,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Say whether every entry is as it was written, none missing, none added, none cut off.

    Exits with 3 if something is wrong. Without --tenant the operator has every chain looked at. Keep what
    it prints elsewhere: only that finds a chain written anew by somebody who may change everything here.
    """
    from bursar.cli.connection import ask
    from bursar.cli.printing import print_json, print_table

    verdict = ask(ledger, "GET", f"{PATH}/verify")
    if as_json:
        print_json(verdict)
    else:
        rows = [
            (
                _owner(one),
                one["entries"],
                one["last_number"],
                one["last_hash"],
                _word(one),
            )
            for one in verdict["chains"]
        ]
        print_table(("tenant", "entries", "last", "hash", "verdict"), rows, numbers=("entries", "last"))
        for chain in verdict["chains"]:
            for fault in chain["faults"]:
                print(f"{_owner(chain)}: entry {fault['number']}: {fault['kind']}: {fault['detail']}")
    if not verdict["is_clean"]:
        raise typer.Exit(ExitCode.DIFFERENCES)


@app.command(
    epilog=examples("bursar audit export > audit.jsonl", "bursar audit export --tenant acme --act export.")
)
@options.naming_ledger
def export(
    *,
    act: Act = None,
    since: Since = None,
    until: Until = None,
    ledger: options.Ledger,
) -> None:
    """Write all entries as lines of JSON, the latest first; that it was done is an entry, too."""
    from bursar.cli.connection import open_ledger

    asked = {"act": act, "from": since, "to": until}
    params = {**ledger.params, **{name: value for name, value in asked.items() if value is not None}}
    with open_ledger(ledger) as client, client.download(f"{PATH}/export", params=params) as answer:
        for block in answer.iter_bytes():
            sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()


def _row(entry: Mapping[str, Any]) -> tuple[object, ...]:
    actor = entry["actor"]
    who = f"{actor['id']} (operator)" if actor["is_operator"] else actor["id"]
    outcome = f"{entry['outcome']} ({entry['reason']})" if entry["reason"] else entry["outcome"]
    at, act, target = entry["at"], entry["act"], entry["target"]
    return entry["number"], at, act, outcome, who, target, entry["address"]


def _owner(chain: Mapping[str, Any]) -> str:
    return chain["tenant_id"] or "(platform)"


def _word(chain: Mapping[str, Any]) -> str:
    return "whole" if chain["is_clean"] else f"{chain['fault_count']} faults"
