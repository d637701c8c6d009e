"""`bursar explain`: why an event costs what it costs, line by line, and what it cost before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXAMPLES = examples("bursar explain call-1", "bursar explain call-1 --json")
LINES = ("unit", "quantity", "list_rate", "rate", "amount")


@options.naming_ledger
def explain(
    event_id: Annotated[str, typer.Argument(metavar="ID", help="The event's id.")],
    *,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Explain an event's cost: units, rates, the rules that matched, and what it cost before.

    It is told from the prices that were kept with the event, whatever became of the price book.
    """
    from bursar.cli.connection import ask, path_of
    from bursar.cli.printing import print_json

    found = ask(ledger, "GET", f"{path_of('/api/v1/events', event_id)}/explain")
    if as_json:
        print_json(found)
        return
    print(f"{event_id}: {_cost(found)}")
    _print_explanation(found["explanation"])
    for part in found["parts"]:
        print(f"Of it, {part['model']}:")
        _print_explanation(part["explanation"])
    print("\n".join(_borne_by(found["borne_by"])))
    _print_earlier(found["earlier_ratings"])


def _borne_by(bearers: Mapping[str, Any]) -> list[str]:
    said: list[str] = []
    for name, one in bearers.items():
        why = f" (of its {one['kind']}, since {one['since']})" if one["kind"] else ""
        said.append(f"{name.replace('_', ' ').capitalize()}: {one['name']}{why}")
    return said


def _print_explanation(explanation: Mapping[str, Any]) -> None:
    from bursar.cli.printing import print_table

    if explanation["lines"]:
        rows = [tuple(line.get(name) or "" for name in LINES) for line in explanation["lines"]]
        print_table(LINES, rows, numbers=("quantity", "amount"))
    if card := explanation["card"]:
        print(f"Prices of {card['provider']}/{card['model']} by {card['rule']}, from {card['source']}")
        for text in _circumstances(card):
            print(f"  {text}")


def _circumstances(card: Mapping[str, Any]) -> list[str]:
    texts = [f"{name}: {value}" for name, value in card["conditions"].items()]
    if card["valid_from"]:
        texts.append(f"since {card['valid_from']}")
    terms: list[Mapping[str, Any]] = card.get("terms") or []
    return texts + [f"{term['kind']} {term['amount']} ({term['id']})" for term in terms]


def _print_earlier(earlier: Sequence[Mapping[str, Any]]) -> None:
    from bursar.cli.printing import print_table

    rows = [(_cost(one), one["ended_at"], one["key_id"] or "", one["reason"] or "") for one in earlier]
    if rows:
        print_table(("it cost before", "until", "changed by", "because"), rows)


def _cost(rated: Mapping[str, Any]) -> str:
    if rated["total"] is None:
        return f"{rated['cost_status']}: {rated['cost_reason']}"
    return f"{rated['total']} {rated['currency']} ({rated['cost_status']})"
