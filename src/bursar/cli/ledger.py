"""`bursar verify` and `bursar rebuild`: proves that everything ties out, and derives it anew.

A recount runs inside the server (its own or one started for it). A rebuild runs inside a server too,
beside its work; where none runs, this process holds the folder and does it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.failures import CommandFailed, ExitCode
from bursar.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bursar_client import BursarClient

VERIFY_EXAMPLES = examples(
    "bursar verify",
    "bursar verify --data /srv/bursar --json",
    "bursar verify --gone acme",
    "bursar verify --gone acme/support",
    "bursar verify || echo 'does not tie out'",
)
REBUILD_EXAMPLES = examples(
    "bursar rebuild", "bursar rebuild --data /srv/bursar && bursar verify --data /srv/bursar"
)
POLL_SECONDS = 0.1
_HEADINGS = (
    ("journal_from", "first record that the journal has"),
    ("journal_events", "deliveries in the journal"),
    ("events", "events in the store"),
    ("unpriced", "of them without a known price"),
    ("voided", "events voided"),
    ("removed", "events expired or reset"),
    ("duplicates", "repeated deliveries, counted nowhere"),
    ("conflicts", "repeated ids with other content"),
    ("tombstones", "records that are gone for good"),
    ("quarantined", "records in quarantine"),
    ("position", "last record applied"),
)


@options.naming_ledger
def verify(
    *,
    gone: Annotated[
        str | None,
        typer.Option(
            "--gone",
            metavar="TENANT[/PROJECT]",
            help="Also prove that nothing is left of this deleted tenant, or of this project of one.",
        ),
    ] = None,
    target: options.Target,
    as_json: options.AsJson = False,
) -> None:
    """Recount everything: journal = raw rows = rollups = key index, to the last digit.

    Names every difference (the first 20 of each kind) and exits with 3 if there is one. Safe beside a
    running server, which goes on accepting. With --url it needs the operator's key. With --gone it also looks
    for a tenant, or for a project, in journal, archive and stores, and tells what stays and why.
    """
    from urllib.parse import urlencode

    from bursar.cli.connection import open_ledger
    from bursar.cli.printing import print_json, steps_of

    with open_ledger(target) as client, steps_of() as tell:
        _wait_until_applied(client, tell)
        result = _told(client, f"verify?{urlencode({'gone': gone})}" if gone else "verify", tell)
    if as_json:
        print_json(result)
    else:
        _show_recount(result)
        _show_gone(result["gone"])
    if not result["is_clean"] or (gone and not result["gone"]["is_gone"]):
        raise typer.Exit(ExitCode.DIFFERENCES)


def rebuild(*, data: options.Data = None, as_json: options.AsJson = False) -> None:
    """Derive the usage store and the key index anew from the journal.

    A running server goes on meanwhile: it takes events and answers from the old store until the new one has
    caught up. Needs disk space for a second store. A rebuild that is interrupted changes nothing.
    """
    from bursar.cli.connection import client_of_socket, is_served, refuse_missing_folder, socket_of
    from bursar.cli.offline import rebuild_folder
    from bursar.cli.printing import print_json, steps_of
    from bursar.settings import load_settings

    settings = load_settings(data_dir=data)
    refuse_missing_folder(settings)
    socket = socket_of(settings)
    with steps_of() as tell:
        if is_beside_server := is_served(socket):
            with client_of_socket(socket) as client:
                records = _told(client, "rebuild", tell)["records"]
        else:
            records = rebuild_folder(settings, tell)
    if as_json:
        print_json(
            {"data_dir": str(settings.data_dir), "records": records, "beside_server": is_beside_server}
        )
    else:
        print(f"Rebuilt {settings.data_dir} from {records} journal records. `bursar verify` recounts it.")


def _wait_until_applied(client: BursarClient, tell: Callable[[str, int], None]) -> None:
    """Wait until the store holds what is in the journal now; a recount goes no further than the store."""
    durable = client.request("GET", "/control/status")["durable_seq"]
    while (state := client.request("GET", "/control/status"))["applied_seq"] < durable:
        if state["failing"]:
            message = f"The store can't take the journal's records: {state['failing']}"
            raise CommandFailed(message)
        tell("applying the journal", state["applied_seq"])
        time.sleep(POLL_SECONDS)


def _told(client: BursarClient, work: str, tell: Callable[[str, int], None]) -> Mapping[str, Any]:
    """The result of long work in the server, its steps told meanwhile."""
    for line in client.stream("POST", f"/control/{work}"):
        if "step" in line:
            tell(line["step"], line["records"])
        elif "error" in line:
            raise CommandFailed(line["error"]["detail"])
        elif "result" in line:
            return line["result"]
    message = f"The server ended the {work.partition('?')[0]} without a result; its log says why."
    raise CommandFailed(message)


def _show_recount(result: Mapping[str, Any]) -> None:
    from decimal import Decimal

    from bursar.cli.printing import print_table
    from bursar.money import format_decimal

    rows: list[tuple[str, object]] = [(words, result[name]) for name, words in _HEADINGS]
    costs = sorted(result["cost"].items())
    rows += [(f"cost in {currency}", format_decimal(Decimal(total))) for currency, total in costs]
    print_table(("recounted", ""), rows, numbers=("",))
    for line in result["unreadable"]:
        print(f"Can't be read, kept in quarantine: {line}")
    if result["is_clean"]:
        print("Everything ties out: journal, raw rows, rollups and key index agree to the last digit.")
        return
    print_table(("where", "difference"), [(one["place"], one["detail"]) for one in result["differences"]])
    print(
        f"{result['difference_count']} differences. `bursar rebuild` derives the store anew from the journal."
    )


def _show_gone(proof: Mapping[str, Any] | None) -> None:
    from bursar.cli.printing import print_table

    if proof is None:
        return
    places = f"looked for in {len(proof['looked_in'])} places"
    who = f"tenant {proof['tenant_id']}"
    if proof["project_id"]:
        who = f"project {proof['project_id']} of {who}"
    if proof["is_gone"]:
        print(f"Nothing is left of {who}, {places}.")
    else:
        print(f"Of {who} there is something left, {places}:")
        print_table(("where", "records or rows"), proof["left"].items(), numbers=("records or rows",))
    for one in proof["stays"]:
        print(f"Stays: {one['place']} ({one['count']}), {one['why']}.")
    for text in proof["beyond"]:
        print(f"Not looked at: {text}.")
