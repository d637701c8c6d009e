"""`bursar privacy`: what is taken out of events before anything of them is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

HELP = "What is taken out of events before they are kept: show, set, test."
PATH = "/api/v1/privacy"
CHOSEN = ("detectors", "patterns", "fields", "allowed_metadata", "allowed_tags", "text")
ACTS = "off, mark, hash or drop"
ALL = "all"

app = typer.Typer(no_args_is_help=True)

Detect = Annotated[
    list[str] | None,
    typer.Option(
        "--detect",
        metavar="NAME=ACT",
        help=f"key, card, iban, email, phone or random, and {ACTS}; repeatable.",
    ),
]
Patterns = Annotated[
    list[str] | None,
    typer.Option(
        "--pattern",
        metavar="NAME[:ACT]=REGEX",
        help="A regular expression (RE2) of one's own, marked unless ACT says otherwise; repeatable."
        " NAME= takes it away.",
    ),
]
Fields = Annotated[
    list[str] | None,
    typer.Option(
        "--field",
        metavar="FIELD=ACT",
        help="A field of events: find (look there too), hash (all of it), drop, or off; repeatable.",
    ),
]
Listed = Annotated[
    str | None, typer.Option(metavar="NAMES", help=f"Names that are kept, by comma; `{ALL}` for no list.")
]
RulesFile = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        metavar="FILE",
        help="All rules as JSON, as `show --json` has them.",
        exists=True,
        dir_okay=False,
    ),
]


@app.command(epilog=examples("bursar privacy show", "bursar privacy show --tenant acme --json"))
@options.naming_ledger
def show(*, ledger: options.Ledger, as_json: options.AsJson = False) -> None:
    """Show what is taken out of a tenant's events, and how often that was done."""
    from bursar.cli.connection import ask

    found = ask(ledger, "GET", PATH)
    _print(found, as_json=as_json)


@app.command(
    "set",
    epilog=examples(
        "bursar privacy set --detect email=hash --detect card=mark",
        r"bursar privacy set --pattern 'employee=\bE-[0-9]{6}\b' --field user_id=find",
        "bursar privacy set --allow-metadata ticket,locale --tenant acme",
        "bursar privacy set --text keep",
        "bursar privacy set --rules rules.json",
    ),
)
@options.naming_ledger
def set_rules(
    *,
    detect: Detect = None,
    pattern: Patterns = None,
    field: Fields = None,
    allow_metadata: Listed = None,
    allow_tags: Listed = None,
    text: Annotated[
        str | None, typer.Option(help="Text of prompts and answers in metadata: drop or keep.")
    ] = None,
    rules: RulesFile = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Choose what is taken out; what isn't named stays as it was.

    It counts for events that come in from now on. What is kept already stays as it is: `bursar erase-user`
    takes a person out of that.
    """
    from bursar.cli.connection import open_ledger

    change = {
        "detectors": dict(_pair("--detect", one) for one in detect or ()),
        "patterns": dict(_pair("--pattern", one) for one in pattern or ()),
        "fields": dict(_pair("--field", one) for one in field or ()),
        "allowed_metadata": allow_metadata,
        "allowed_tags": allow_tags,
        "text": text,
    }
    if rules is None and not any(change.values()):
        message = "Say what to change: a detector, a pattern, a field, a list, the text, or all --rules."
        raise typer.BadParameter(message)
    with open_ledger(ledger) as client:
        before = client.request("GET", PATH, params=ledger.params) if rules is None else _read(rules)
        body = _changed({name: before[name] for name in CHOSEN if name in before}, change)
        found = client.request("PUT", PATH, body=body, params=ledger.params)
    _print(found, as_json=as_json)


@app.command(
    "test",
    epilog=examples(
        "bursar privacy test 'write to ada@example.com'",
        "bursar privacy test --event event.json --json",
        "bursar privacy test 'E-123456' --rules rules.json",
    ),
)
@options.naming_ledger
def try_rules(
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="A text to try the rules on.")] = None,
    *,
    event: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An event as JSON.", exists=True, dir_okay=False)
    ] = None,
    rules: RulesFile = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Show what would be kept of a text or an event, by the rules in force or by others. Keeps nothing."""
    from bursar.cli.connection import ask
    from bursar.cli.printing import print_json, say

    if text is None and event is None:
        message = "Give a text, or --event FILE."
        raise typer.BadParameter(message)
    asked: dict[str, Any] = {"text": text, "event": None if event is None else _read(event)}
    if rules is not None:
        asked["rules"] = {name: value for name, value in _read(rules).items() if name in CHOSEN}
    found = ask(ledger, "POST", f"{PATH}/test", asked)
    if as_json:
        print_json(found)
        return
    if text is not None:
        print("(all of it goes)" if found["text"] is None else found["text"])
    if event is not None:
        print_json(found["event"])
    counts = ", ".join(f"{rule} {times}" for rule, times in found["redactions"].items())
    say(f"Taken out: {counts}." if counts else "Nothing would be taken out.")


def _changed(rules: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """The rules with what the command says."""
    body = dict(rules)
    body["detectors"] = {**body.get("detectors", {}), **change["detectors"]}
    fields = {**body.get("fields", {}), **change["fields"]}
    body["fields"] = {name: act for name, act in fields.items() if act != "off"}
    patterns = {one["name"]: one for one in body.get("patterns", ())}
    for said, regex in change["patterns"].items():
        name, _, act = said.partition(":")
        patterns[name] = {"name": name, "pattern": regex, "act": act or "mark"}
    body["patterns"] = [one for one in patterns.values() if one["pattern"]]
    for name in ("allowed_metadata", "allowed_tags"):
        if change[name] is not None:
            names = [one.strip() for one in change[name].split(",") if one.strip()]
            body[name] = None if change[name].strip() == ALL else names
    if change["text"] is not None:
        body["text"] = change["text"]
    return body


def _pair(option: str, said: str) -> tuple[str, str]:
    name, equals, value = said.partition("=")
    if not (name and equals):
        message = f"'{said}' has no '='"
        raise typer.BadParameter(message, param_hint=option)
    return name.strip(), value


def _read(path: Path) -> dict[str, Any]:
    from bursar.cli.failures import CommandFailed
    from bursar.exact import decode_json
    from bursar.usage.json_shape import is_object

    try:
        found = decode_json(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        message = f"{path} can't be read as JSON: {error}."
        raise CommandFailed(message) from error
    if not is_object(found):
        message = f"{path} holds no JSON object."
        raise CommandFailed(message)
    return found


def _print(found: Mapping[str, Any], *, as_json: bool) -> None:
    from bursar.cli.printing import print_json, print_table

    if as_json:
        print_json(found)
        return
    counts = found["redactions"]
    rows = [(name, act, str(counts.get(name, 0))) for name, act in found["detectors"].items()]
    rows += [
        (one["name"], f"{one['act']} {one['pattern']}", str(counts.get(one["name"], 0)))
        for one in found["patterns"]
    ]
    rows += [(name, act, str(counts.get(name, 0))) for name, act in found["fields"].items()]
    rows.append(("text", found["text"], str(counts.get("text", 0))))
    print_table(
        ("rule", "does", "taken out"), rows, title=f"Tenant {found['tenant_id']}", numbers=("taken out",)
    )
    for name, words in (("allowed_metadata", "metadata"), ("allowed_tags", "tags")):
        if found[name] is not None:
            print(f"Of {words} only these are kept: {', '.join(found[name]) or 'none'}.")
    if counts.get("allow_list"):
        print(f"Left out by these lists: {counts['allow_list']}.")
