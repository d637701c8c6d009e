"""`bursar export`: every event of a window, or its cost as FOCUS rows, into a file or to standard output.

A file is fetched page by page and grows beside its name as `….part`; a note beside that says how far it
is. So an export that was cut off goes on with `--resume`, at the moment that it began with. What is
written into the file is in `export_file.py`.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.options import examples
from bursar.cli.query import Filters, Window, Zone, read_filters

EXAMPLES = examples(
    "bursar export --window last_month --out october.csv",
    "bursar export --format focus --window 2026-10 --out october-focus.csv",
    "bursar export --format focus-parquet --grain hour --window 7d --out week.parquet",
    "bursar export --format ndjson --filter project_id=search --filter environment!=staging | jq .cost",
    "bursar export --window all --out everything.csv --resume",
)
_GET_NAMES = {"in": "", "not": ".not", "prefix": ".prefix"}


class Format(StrEnum):
    """What the file is."""

    CSV = "csv"
    JSON = "json"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    FOCUS = "focus"
    FOCUS_PARQUET = "focus-parquet"


class Grain(StrEnum):
    """What a FOCUS row sums up."""

    EVENT = "event"
    HOUR = "hour"
    DAY = "day"


Form = Annotated[
    Format,
    typer.Option("--format", help="One row per event, or FOCUS 1.2: one per unit class, as CSV or Parquet."),
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", dir_okay=False, help="[default: standard output]")
]
Sums = Annotated[Grain | None, typer.Option("--grain", help="Of FOCUS: what a row sums up. [default: day]")]
Raw = Annotated[
    bool, typer.Option("--raw", help="Leave texts as they are that a spreadsheet would run as formulas.")
]
AllowUnpriced = Annotated[
    bool,
    typer.Option("--allow-unpriced", help="Of FOCUS: leave out events of unknown cost instead of refusing."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a file that was cut off.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")]


@options.naming_ledger
def export(
    *,
    form: Form = Format.CSV,
    window: Window = "30d",
    out: Out = None,
    grain: Sums = None,
    where: Filters = None,
    zone: Zone = None,
    raw: Raw = False,
    allow_unpriced: AllowUnpriced = False,
    resume: Resume = False,
    overwrite: Overwrite = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Write usage and its cost into a file that other programs load: CSV, JSON, Parquet or FOCUS.

    All of it is about one moment, which is told at the end with what it comes to.
    """
    from bursar.cli.connection import PATIENT, open_ledger
    from bursar.cli.export_file import ExportFile, write_export

    asked: dict[str, Any] = {
        "window": window,
        "format": form.value,
        "grain": grain and grain.value,
        "zone": zone,
        "raw": raw or None,
        "allow_unpriced": allow_unpriced or None,
        **filter_parameters(where or []),
        **ledger.params,
    }
    file = ExportFile({name: value for name, value in asked.items() if value is not None}, out)
    file.refuse_misuse(is_resumed=resume, may_overwrite=overwrite)
    with open_ledger(ledger, PATIENT) as client:
        try:
            totals = write_export(client, file, is_resumed=resume)
        finally:
            file.tell_rest()
    _tell(totals, out, as_json=as_json)


def filter_parameters(texts: list[str]) -> dict[str, list[str] | str]:
    """The filters of a command line as the parameters of a GET.

    Raises:
        BadParameter: one has no comparison in it, or asks for a value or none at all.
    """
    parameters: dict[str, list[str] | str] = {}
    for name, comparisons in read_filters(texts).items():
        for operator, values in comparisons.items():
            given = [_text(value) for value in values if value is not None]
            if given and len(given) < len(values):
                message = f"{name}: ask for a value or for null, not for either."
                raise typer.BadParameter(message, param_hint="--filter")
            if given:
                parameters[name + _GET_NAMES[operator]] = given
            else:
                parameters[f"{name}.absent"] = "false" if operator == "not" else "true"
    return parameters


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _tell(totals: dict[str, str], out: Path | None, *, as_json: bool) -> None:
    """What the file holds, on stderr unless it was asked for as JSON and the file is elsewhere."""
    from bursar.cli.printing import print_json, say

    if as_json and out is not None:
        print_json({"file": str(out), **totals})
        return
    if "events" not in totals:
        return
    unpriced, amount = int(totals["unpriced_events"]), totals["total"] or "nothing"
    say(f"{int(totals['events']):,} events, {amount} in all, as of {totals.get('as_of_time', 'now')}.")
    if unpriced:
        say(f"{unpriced:,} of them have no known price and are in no amount; FOCUS leaves them out.")
    if since := totals.get("complete_since"):
        say(f"Older events have expired: the file is complete since {since}.")
