"""Values on their way into a SQL statement: always bound by name, never part of the text."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(slots=True)
class Bound:
    """The values of one statement."""

    values: dict[str, Any] = field(default_factory=dict[str, Any])

    def add(self, value: object) -> str:
        """The placeholder that stands for this value in the text."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f"${name}"


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and the values it is executed with."""

    text: str
    values: dict[str, Any]


def naive(moment: datetime) -> datetime:
    """The moment as the store keeps it: naive UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def aware(moment: datetime) -> datetime:
    """The aware UTC moment that the store keeps as naive."""
    return moment.replace(tzinfo=UTC)
