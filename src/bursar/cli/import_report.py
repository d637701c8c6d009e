"""What an import did, item by item and in all: what was priced, what was not and why, what was refused."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bursar.cli.printing import print_json, print_table, say
from bursar.money import format_decimal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bursar.cli.import_sources import Item
    from bursar_client import Cost, RejectedEvent, SendResult, SentEvent

ESTIMATED = "estimated"
REJECTED_SHOWN = 20
"""Refused events listed; all of them are counted."""


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one item."""

    item: Item
    sent: SentEvent | None = None
    refusal: str | None = None

    @property
    def cost(self) -> Cost | None:
        """What it costs, where it was sent."""
        return self.sent.cost if self.sent else None

    @property
    def is_priced(self) -> bool:
        """Whether its cost is known."""
        return self.cost is not None and self.cost.total is not None

    @property
    def is_estimated(self) -> bool:
        """Whether its cost is made of units that nobody counted."""
        return self.cost is not None and self.cost.status == ESTIMATED

    @property
    def why_unpriced(self) -> str:
        """The reason in one word: of the reading first, of the price book otherwise."""
        return self.item.reason or (self.cost.reason if self.cost else None) or "unknown"

    def shown(self) -> dict[str, Any]:
        """The line for a script."""
        event, cost = self.item.event or {}, self.cost
        return {
            "place": self.item.place,
            "event_id": self.sent.event_id if self.sent else event.get("event_id"),
            "provider": event.get("provider"),
            "model": _model_of(event),
            "units": self.item.units,
            "outcome": self.sent.outcome if self.sent else None,
            "cost": format_decimal(cost.total) if cost and cost.total is not None else None,
            "currency": cost.currency if cost else None,
            "status": cost.status if cost else None,
            "reason": None if self.is_priced else self.refusal or self.why_unpriced,
            "detail": self.item.detail,
        }


@dataclass(slots=True)
class Imported:
    """The account of an import as it goes on."""

    keeps_each: bool
    """Keep every line (recorded answers), or only sums (files of events, which may be long)."""
    lines: list[Line] = field(default_factory=list[Line])
    rejected: list[Line] = field(default_factory=list[Line])
    outcomes: Counter[str] = field(default_factory=Counter[str])
    unpriced: Counter[str] = field(default_factory=Counter[str])
    costs: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    """Known costs of what is new, by currency, estimates among them."""
    estimated: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    """What of them was estimated, because nobody had counted."""
    _items: int = 0

    def add(self, step: Sequence[Item], result: SendResult | None) -> None:
        """Account for items that were sent together; `result` is None where none had an event."""
        sent = iter(result.events if result else ())
        refused = {one.index: one for one in (result.rejected if result else ())}
        index = 0
        for item in step:
            if item.event is None:
                self._note(Line(item, refusal=item.detail if item.reason == "unreadable_line" else None))
                continue
            refusal = refused.get(index)
            index += 1
            self._note(Line(item, refusal=_words(refusal)) if refusal else Line(item, next(sent)))

    @property
    def items(self) -> int:
        """How many there were, whatever became of them."""
        return self._items

    def _note(self, line: Line) -> None:
        self._items += 1
        if line.refusal is not None:
            self.rejected.append(line)
        elif line.sent is not None:
            self._count(line.sent, line)
        if self.keeps_each:
            self.lines.append(line)

    def _count(self, sent: SentEvent, line: Line) -> None:
        outcome = sent.outcome or "accepted"
        self.outcomes[outcome] += 1
        if outcome not in {"new", "accepted"}:
            return
        if sent.cost is not None and sent.cost.total is not None:
            self.costs[sent.cost.currency] += sent.cost.total
            if line.is_estimated:
                self.estimated[sent.cost.currency] += sent.cost.total
        else:
            self.unpriced[line.why_unpriced] += 1

    def shown(self) -> dict[str, Any]:
        """The whole account for a script."""
        return {
            "items": [line.shown() for line in self.lines],
            "outcomes": dict(self.outcomes),
            "unpriced": dict(self.unpriced),
            "cost": {currency: format_decimal(total) for currency, total in sorted(self.costs.items())},
            "estimated": {name: format_decimal(total) for name, total in sorted(self.estimated.items())},
            "rejected": [line.shown() for line in self.rejected],
        }


def show_report(imported: Imported, *, as_json: bool) -> None:
    """Print the account: each item where they are few, the sums always."""
    if as_json:
        print_json(imported.shown())
        return
    priced = [line for line in imported.lines if line.is_priced]
    _show_priced("priced", [line for line in priced if not line.is_estimated])
    _show_priced(ESTIMATED, [line for line in priced if line.is_estimated])
    _show_unpriced([line for line in imported.lines if not line.is_priced and line.refusal is None])
    for line in imported.rejected[:REJECTED_SHOWN]:
        say(f"refused: {line.item.place}: {line.refusal}")
    if len(imported.rejected) > REJECTED_SHOWN:
        say(f"… and {len(imported.rejected) - REJECTED_SHOWN} more refused.")
    print(_summary(imported))


def _show_priced(title: str, lines: Sequence[Line]) -> None:
    if not lines:
        return
    rows = [(*_what(line), line.shown()["cost"], line.shown()["currency"], _outcome(line)) for line in lines]
    columns = (title, "provider", "model", "units", "cost", "currency", "outcome")
    print_table(columns, rows, numbers=("cost",))


def _show_unpriced(lines: Sequence[Line]) -> None:
    if not lines:
        return
    listed = sorted(lines, key=lambda line: (line.why_unpriced, line.item.place))
    recorded = [(*_what(line), line.why_unpriced, _outcome(line)) for line in listed if line.sent]
    if recorded:
        columns = ("recorded without a price", "provider", "model", "units", "reason", "outcome")
        print_table(columns, recorded)
    others = [(line.item.place, line.why_unpriced, line.item.detail) for line in listed if not line.sent]
    if others:
        print_table(("nothing to record", "reason", "detail"), others)
    reasons = Counter(line.why_unpriced for line in lines)
    print_table(("why there is no price", "files"), reasons.most_common(), numbers=("files",))


def _what(line: Line) -> tuple[str, str | None, str | None, str]:
    event = line.item.event or {}
    # A failed call is priced, at nothing, though it has no units: say that it failed.
    units = line.item.units or (f"({line.item.reason})" if line.is_priced and line.item.reason else "")
    return line.item.place, event.get("provider"), _model_of(event), units


def _outcome(line: Line) -> str:
    return (line.sent.outcome or "accepted") if line.sent else "not recorded"


def _summary(imported: Imported) -> str:
    outcomes = imported.outcomes
    new = outcomes["new"] + outcomes["accepted"]
    parts = [f"{new} events recorded"]
    parts += [f"{outcomes[name]} {word}" for name, word in _REPEATS if outcomes[name]]
    nothing = sum(1 for line in imported.lines if line.item.event is None and line.refusal is None)
    parts += [f"{nothing} files without an event"] if nothing else []
    parts += [f"{len(imported.rejected)} refused"] if imported.rejected else []
    money, estimated = _amounts(imported.costs), _amounts(imported.estimated)
    of_it = f", of it {estimated} estimated" if estimated else ""
    known = f" Cost of what is new: {money}{of_it}." if money else ""
    unpriced = sum(imported.unpriced.values())
    unknown = f" {unpriced} of them have no known price ({_reasons(imported.unpriced)})." if unpriced else ""
    return f"{', '.join(parts)}.{known}{unknown}"


_REPEATS = (("duplicate", "known already"), ("conflict", "known already with other content (see quarantine)"))


def _amounts(costs: Mapping[str, Decimal]) -> str:
    return " and ".join(f"{format_decimal(total)} {currency}" for currency, total in sorted(costs.items()))


def _reasons(unpriced: Counter[str]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in unpriced.most_common())


def _model_of(event: dict[str, Any]) -> str | None:
    return event.get("model") or event.get("response_model")


def _words(refusal: RejectedEvent) -> str:
    return "; ".join(f"{reason.field}: {reason.message}" for reason in refusal.errors)
