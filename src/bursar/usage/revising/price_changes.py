"""What rating again changes, added up: before and after by currency, by model and by month, and a sample.

Fed with every event of a selection (`ratable.py`), changed or not; amounts are whole picos until they are
shown. `repricing.py` shows it as the result of a run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bursar.money import format_picos

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bursar.usage.revising.ratable import RatedAgain

MODELS_SHOWN = 1000
SAMPLE_SIZE = 20
SAMPLE_OF_A_KIND = 3
"""Of events that are alike in all but their units."""


@dataclass(slots=True)
class Sums:
    """Some events before and after."""

    events: int = 0
    changed: int = 0
    unpriced_before: int = 0
    unpriced_after: int = 0
    becomes_priced: int = 0
    becomes_unpriced: int = 0
    before: Counter[str] = field(default_factory=Counter[str])
    """Picos by currency, of the events whose cost is known."""
    after: Counter[str] = field(default_factory=Counter[str])

    def take(self, one: RatedAgain) -> None:
        """Count an event."""
        self.events += 1
        before, after = one.picos_before, one.rating.picos
        if before is None:
            self.unpriced_before += 1
            self.becomes_priced += after is not None
        else:
            self.before[one.common.currency] += before
            self.becomes_unpriced += after is None
        if after is None:
            self.unpriced_after += 1
        else:
            self.after[one.rating.currency] += after
        self.changed += one.is_changed

    def add(self, other: Sums) -> None:
        """Count others in."""
        self.events += other.events
        self.changed += other.changed
        self.unpriced_before += other.unpriced_before
        self.unpriced_after += other.unpriced_after
        self.becomes_priced += other.becomes_priced
        self.becomes_unpriced += other.becomes_unpriced
        self.before.update(other.before)
        self.after.update(other.after)

    def shown(self) -> dict[str, Any]:
        """As JSON, one amount per currency."""
        currencies = sorted(self.before.keys() | self.after.keys())
        return {
            "events": self.events,
            "changed": self.changed,
            "unchanged": self.events - self.changed,
            "becomes_priced": self.becomes_priced,
            "becomes_unpriced": self.becomes_unpriced,
            "unpriced_before": self.unpriced_before,
            "unpriced_after": self.unpriced_after,
            "cost": [
                {
                    "currency": currency,
                    "before": format_picos(self.before[currency]),
                    "after": format_picos(self.after[currency]),
                    "difference": format_picos(self.after[currency] - self.before[currency]),
                }
                for currency in currencies
            ],
        }

    @property
    def moved(self) -> int:
        """How much the amounts move in all, for an order only: currencies aren't added for anybody to see."""
        return sum(abs(self.after[one] - self.before[one]) for one in self.before.keys() | self.after.keys())


_Group = tuple[str | None, str | None, int, int]
"""Provider and model of events, and their year and month."""


@dataclass(slots=True)
class PriceChanges:
    """All events of a selection."""

    _groups: dict[_Group, Sums] = field(default_factory=dict[_Group, Sums])
    _sample: list[RatedAgain] = field(default_factory=list["RatedAgain"])
    _sampled: Counter[str] = field(default_factory=Counter[str])
    _kept: Counter[str] = field(default_factory=Counter[str])
    """Events that keep their ratings whatever the prices, by why."""

    def take(self, one: RatedAgain) -> None:
        """Count an event."""
        time = one.time
        group = (one.common.provider, one.common.model, time.year, time.month)
        sums = self._groups.get(group)
        if sums is None:
            sums = self._groups[group] = Sums()
        sums.take(one)
        if one.kept is not None:
            self._kept[one.kept] += 1
        if one.is_changed and len(self._sample) < SAMPLE_SIZE and self._sampled[one.key] < SAMPLE_OF_A_KIND:
            self._sampled[one.key] += 1
            self._sample.append(one)

    @property
    def sampled(self) -> list[int]:
        """Positions of the events in the sample."""
        return [one.seq for one in self._sample]

    @property
    def changed(self) -> int:
        """How many events' ratings are others."""
        return sum(one.changed for one in self._groups.values())

    def shown(self, ids: Mapping[int, str]) -> dict[str, Any]:
        """As JSON.

        Args:
            ids: ids of the sampled events by position; one that is gone meanwhile is left out.
        """
        return {
            **_summed(self._groups.values()).shown(),
            "kept": dict(self._kept),
            "models": self._models(),
            "months": self._months(),
            "sample": [_shown_event(one, ids[one.seq]) for one in self._sample if one.seq in ids],
        }

    def _models(self) -> list[dict[str, Any]]:
        by_model: defaultdict[tuple[str | None, str | None], Sums] = defaultdict(Sums)
        for (provider, model, _, _), sums in self._groups.items():
            by_model[provider, model].add(sums)
        ordered = sorted(
            by_model.items(), key=lambda one: (-one[1].moved, -one[1].changed, -one[1].events, str(one[0]))
        )
        return [
            {"provider": provider, "model": model, **sums.shown()}
            for (provider, model), sums in ordered[:MODELS_SHOWN]
        ]

    def _months(self) -> list[dict[str, Any]]:
        by_month: defaultdict[str, Sums] = defaultdict(Sums)
        for (_, _, year, month), sums in self._groups.items():
            by_month[f"{year:04}-{month:02}"].add(sums)
        return [{"month": month, **sums.shown()} for month, sums in sorted(by_month.items())]


def _summed(parts: Iterable[Sums]) -> Sums:
    total = Sums()
    for one in parts:
        total.add(one)
    return total


def _shown_event(one: RatedAgain, event_id: str) -> dict[str, Any]:
    rating, common = one.rating, one.common
    return {
        "event_id": event_id,
        "time": f"{one.time.isoformat()}Z",
        "provider": common.provider,
        "model": common.response_model or common.model,
        "before": {
            "total": None if one.picos_before is None else format_picos(one.picos_before),
            "currency": common.currency,
            "status": common.cost_status,
            "reason": common.cost_reason,
        },
        "after": {
            "total": None if rating.picos is None else format_picos(rating.picos),
            "currency": rating.currency,
            "status": rating.status.value,
            "reason": rating.reason,
        },
    }
