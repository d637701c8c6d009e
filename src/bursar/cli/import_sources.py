"""What can be imported, as items ready to be sent: native events by line, recorded answers by file.

An item is an event, or a reason why there is none. Reading is lazy: a file of a million lines is never
in memory as a whole.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from bursar.units import format_steps
from bursar.usage.formats.provider_answers import read_answers
from bursar.usage.measure import measure_usage
from bursar.usage.record import encode_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bursar.usage.event import UsageEvent


@dataclass(frozen=True, slots=True)
class Item:
    """One line or one file: an event to send, or why there is nothing to send."""

    place: str
    """Where it stands, for a person: a file's name, and the line where there are lines."""
    event: dict[str, Any] | None = None
    units: str = ""
    """What it used, in words."""
    reason: str | None = None
    """Why it has no usage, or couldn't be read."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Something to import."""

    items: Callable[[], Iterator[Item]]
    count: int | None = None
    """How many items there are, where that is known beforehand."""
    is_listed: bool = False
    """Whether the report should list each item, because each is one that somebody recorded."""

    def steps(self, size: int) -> Iterator[list[Item]]:
        """The items in lists of at most `size`."""
        step: list[Item] = []
        for item in self.items():
            step.append(item)
            if len(step) == size:
                yield step
                step = []
        if step:
            yield step


def answers_in(folder: Path, provider: str | None) -> Source:
    """Recorded provider answers: every file of the folder, or the one file."""
    count = 1 if folder.is_file() else sum(1 for path in folder.rglob("*") if path.is_file())
    return Source(lambda: _answers(folder, provider), count, is_listed=True)


def events_in(files: list[Path]) -> Source:
    """Native events, one JSON object a line."""
    return Source(lambda: _events(files))


def _answers(folder: Path, provider: str | None) -> Iterator[Item]:
    root = folder.parent if folder.is_file() else folder
    for path, reading in read_answers(folder, provider):
        place, event = str(path.relative_to(root)), reading.event
        reason = str(reading.reason) if reading.reason else None
        if event is None:
            yield Item(place, reason=reason, detail=reading.detail)
            continue
        yield Item(place, _as_sent(event), _units_of(event), reason, reading.detail)


def _as_sent(event: UsageEvent) -> dict[str, Any]:
    """The event as JSON says it, its numbers exact; absent fields left out."""
    return cast("dict[str, Any]", json.loads(encode_event(event), parse_float=_exact))


def _units_of(event: UsageEvent) -> str:
    """The event's units in words; the server counts them by the same function."""
    measured = measure_usage(event)
    units = {**measured.units, **(measured.custom or {})}
    return ", ".join(f"{format_steps(name, steps)} {name}" for name, steps in units.items())


def _events(files: list[Path]) -> Iterator[Item]:
    for path in files:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _event_of(path, number, line)


def _event_of(path: Path, number: int, line: bytes) -> Item:
    place = f"{path.name}:{number}"
    try:
        event: object = json.loads(line, parse_float=_exact, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return Item(place, reason="unreadable_line", detail=str(error))
    if not isinstance(event, dict):
        return Item(place, reason="unreadable_line", detail="It is no JSON object.")
    fields = cast("dict[str, Any]", event)
    if fields.get("event_id") is None:
        # The same line of the same file is the same event, however often it is imported.
        digest = hashlib.blake2b(f"{place}\n".encode() + line.strip(), digest_size=16).hexdigest()
        fields["event_id"] = f"line:{digest}"
    return Item(place, fields)


def _exact(text: str) -> float | Decimal:
    """A JSON fraction that loses no digit: a float where one holds it as written, else a decimal."""
    number = float(text)
    exact = Decimal(text)
    return number if Decimal(repr(number)) == exact else exact


def _refuse_constant(word: str) -> None:
    """NaN and the infinities, which Python reads and JSON doesn't know."""
    message = f"{word} is no JSON."
    raise ValueError(message)
