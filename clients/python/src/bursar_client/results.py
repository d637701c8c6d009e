"""What the server answered, as values: what was accepted, what was refused and why, what it cost.

Amounts are `Decimal`s, made from the decimal strings on the wire; no float touches them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from bursar_client.errors import EventsRejected, UnreadableAnswer

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cost:
    """What an event costs, as far as the server knows."""

    total: Decimal | None
    """None when the server could not price it; never zero for "unknown"."""
    currency: str
    status: str
    """`priced`, `provider_reported`, `client_reported`, `estimated` or `unpriced`."""
    reason: str | None = None
    """Why it is unpriced, such as `unknown_model`."""


@dataclass(frozen=True, slots=True)
class SentEvent:
    """An event that the server has on disk."""

    event_id: str
    cost: Cost | None = None
    outcome: str | None = None
    """With `wait_applied` only: `new`, `duplicate` or `conflict`."""


@dataclass(frozen=True, slots=True)
class RejectionReason:
    """One reason why an event was refused."""

    field: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """An event that the server refused; sending it again unchanged is of no use."""

    index: int
    """Its place in what was given to `send`."""
    errors: tuple[RejectionReason, ...]


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of every event given to `send`."""

    accepted: int = 0
    rejected: tuple[RejectedEvent, ...] = ()
    events: tuple[SentEvent, ...] = ()
    """The accepted ones, in the order they were given."""
    applied: bool = False
    """With `wait_applied`: all of them can be queried already."""

    def raise_for_rejected(self) -> SendResult:
        """Itself when nothing was refused.

        Raises:
            EventsRejected: with all that were.
        """
        if self.rejected:
            raise EventsRejected(self.rejected)
        return self

    def followed_by(self, later: SendResult) -> SendResult:
        """Both results as one."""
        return SendResult(
            self.accepted + later.accepted,
            self.rejected + later.rejected,
            self.events + later.events,
            self.applied and later.applied,
        )


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """A table of usage, its totals, and how much of it has no price."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    """One tuple per row in the order of `columns`; decimals are strings, exactly as sent."""
    document: JsonObject = field(default_factory=dict[str, Any])
    """The whole answer: `totals`, `window`, `unpriced` and what else the server says."""

    @property
    def unpriced_events(self) -> int:
        """How many events of the window could not be priced."""
        unpriced = self.document.get("unpriced")
        return int(cast("JsonObject", unpriced).get("events", 0)) if isinstance(unpriced, Mapping) else 0


def read_send_answer(document: JsonObject, first_index: int) -> SendResult:
    """The result of one body whose first event has `first_index` in everything that is sent.

    Raises:
        UnreadableAnswer: it has not the form of Bursar's answers.
    """
    try:
        return SendResult(
            accepted=int(document.get("accepted", 0)),
            rejected=tuple(_rejected(one, first_index) for one in _objects(document, "rejected")),
            events=tuple(_sent(one) for one in _objects(document, "events")),
            applied=bool(document.get("applied", True)),
        )
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        message = f"The answer to the events is not Bursar's: {document!r:.200}"
        raise UnreadableAnswer(message) from error


def read_query_answer(document: JsonObject) -> QueryAnswer:
    """The table in the answer to a query.

    Raises:
        UnreadableAnswer: it has not the form of Bursar's answers.
    """
    columns, rows = document.get("columns"), document.get("rows")
    if not (isinstance(columns, Sequence) and isinstance(rows, Sequence)):
        message = f"The answer to the query is not Bursar's: {document!r:.200}"
        raise UnreadableAnswer(message)
    names = tuple(_column_name(column) for column in cast("Sequence[Any]", columns))
    return QueryAnswer(names, tuple(_cells(row, names) for row in cast("Sequence[Any]", rows)), document)


def _objects(document: JsonObject, name: str) -> list[JsonObject]:
    return cast("list[JsonObject]", document.get(name) or [])


def _rejected(item: JsonObject, first_index: int) -> RejectedEvent:
    reasons = tuple(
        RejectionReason(str(one["field"]), str(one["code"]), str(one["message"]))
        for one in _objects(item, "errors")
    )
    return RejectedEvent(first_index + int(item["index"]), reasons)


def _sent(item: JsonObject) -> SentEvent:
    cost = cast("JsonObject | None", item.get("cost"))
    return SentEvent(str(item["event_id"]), _cost(cost) if cost else None, item.get("outcome"))


def _cost(item: JsonObject) -> Cost:
    total = item.get("total")
    return Cost(
        total=None if total is None else Decimal(str(total)),
        currency=str(item.get("currency", "")),
        status=str(item.get("status", "")),
        reason=item.get("reason"),
    )


def _column_name(column: object) -> str:
    return str(cast("JsonObject", column).get("name")) if isinstance(column, Mapping) else str(column)


def _cells(row: object, names: tuple[str, ...]) -> tuple[Any, ...]:
    if isinstance(row, Mapping):
        by_name = cast("JsonObject", row)
        return tuple(by_name.get(name) for name in names)
    return tuple(cast("Sequence[Any]", row))
