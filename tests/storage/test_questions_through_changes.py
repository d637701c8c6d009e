"""Questions while the ledger changes: each is answered as of its own moment, and says what it lacks.

Random histories of deliveries, corrections, voids, expiries and steps of compaction, with readers that
began at any moment and ask later. What they hear is compared with a recount in plain Python.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bursar.clock import to_micros
from bursar.storage.duckdb import compaction
from bursar.storage.duckdb.questions import CursorQuestions
from bursar.storage.duckdb.schema import DETAIL_COLUMNS
from bursar.units import UNITS
from bursar.usage.periods import Grain
from bursar.usage.query import UsageQuery
from bursar.usage.query_measures import MEASURES
from bursar.window import Window, parse_zone
from tests.support.changed_store import ChangedStore, Lines
from tests.support.ledger import a_change, a_correction, a_usage, a_void
from tests.support.random_usage import END, OTHERS, ROLLED_UP, START, ZONES, random_events
from tests.support.recount import recount
from tests.support.rounds import rounds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import duckdb

    from bursar.usage.query_answer import UsageAnswer

TENANT = "acme"
STEPS = 30
MEASURES_OF_ALL = ("events", "cost", "unpriced_events", "total_tokens")
Event = dict[str, Any]


@dataclass
class Reader:
    """Someone who began to read at some moment, and what there was to read then."""

    cursor: duckdb.DuckDBPyConnection
    events: list[Event]
    expired_before: datetime | None

    def ask(self, query: UsageQuery) -> UsageAnswer:
        """The answer as of the reader's moment."""
        return CursorQuestions(self.cursor, lambda _tenant, _id: None).answer(TENANT, query)

    def expect_right(self, query: UsageQuery) -> None:
        """An answer is complete and right, or says from when on it would be."""
        answer = self.ask(query)
        if answer.partial is not None:
            since = answer.partial.since
            assert since == self.expired_before
            assert query.window.start < since
            if query.window.end <= since:
                return
            query = replace(query, window=Window(since, query.window.end))
            answer = self.ask(query)
        assert answer.partial is None
        found = {
            tuple(row[name] for name in query.key_columns): {name: row[name] for name in query.measures}
            for row in answer.rows
        }
        wanted = recount(query, self.events)
        assert found == wanted
        everything = recount(replace(query, measures=("events",), dimensions=(), grain=None), self.events)
        assert answer.totals.events == everything.get((), {"events": 0})["events"]


@dataclass
class History:
    """A ledger that changes at random; events as they count now by id, and those that have expired."""

    store: ChangedStore
    dice: random.Random
    lines: Lines = field(default_factory=Lines)
    current: dict[str, Event] = field(default_factory=dict[str, Event])
    expired: list[Event] = field(default_factory=list[Event])
    expired_before: datetime | None = None
    fresh: list[Event] = field(default_factory=list[Event])

    def change(self) -> None:
        """Deliver, correct, void or expire something, apply it, and sum rollups up a little."""
        kinds = (self._deliver, self._deliver, self._correct, self._correct, self._void, self._expire)
        self.dice.choices(kinds, weights=(4, 4, 3, 3, 2, 1))[0]()
        self.store.apply(self.lines)
        for _ in range(self.dice.randrange(4)):
            self.store.applier.compactor.step()

    def reader(self) -> Reader:
        """Someone who begins to read now."""
        cursor = self.store.database.cursor()
        cursor.begin()
        cursor.execute("SELECT count(*) FROM usage_events").fetchall()
        return Reader(cursor, [*self.current.values(), *self.expired], self.expired_before)

    def _deliver(self) -> None:
        for _ in range(self.dice.choice((1, 5, 40))):
            event = self.fresh.pop()
            self.lines.add(record_of(event))
            self.current[event["event_id"]] = event

    def _correct(self) -> None:
        for event_id in self._some():
            event = {**self.fresh.pop(), "event_id": event_id}
            self.lines.add(a_correction(event_id, record_of(event)))
            self.current[event_id] = event

    def _void(self) -> None:
        event_ids = self._some()
        self.lines.add(a_void(*event_ids))
        for event_id in event_ids:
            del self.current[event_id]

    def _expire(self) -> None:
        before = START + timedelta(days=self.dice.randrange(1, 25))
        self.lines.add(a_change("expire", what="events", before=to_micros(before)))
        self.expired_before = max(before, self.expired_before or before)
        for event_id in [one for one, event in self.current.items() if event["time"] < before]:
            self.expired.append(self.current.pop(event_id))

    def _some(self) -> list[str]:
        return self.dice.sample(sorted(self.current), min(len(self.current), self.dice.choice((1, 3, 10))))


def record_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """The journal's record of a raw row, latencies to the microsecond."""
    said = {name: event[name] for name in (*DETAIL_COLUMNS, "tags") if event.get(name) is not None}
    said |= {name: event[name] for name in ("provider", "model")}
    if "latency_ms" in said:
        said["latency_ms"] = float(said["latency_ms"])
    cost = {} if event["cost"] is None else {"cost": f"{event['cost']:f}"}
    custom = {} if event["custom_units"] is None else {"custom_units": event["custom_units"]}
    record = a_usage(
        event["event_id"],
        time=to_micros(event["time"]),
        received=to_micros(event["time"]),
        units={name: event[name] for name in UNITS if event.get(name) is not None},
        currency=event["currency"],
        cost_status=event["cost_status"],
        **custom,
        event=said,
    )
    return {name: value for name, value in record.items() if name != "cost"} | cost


def a_question(dice: random.Random, events: list[Event]) -> UsageQuery:
    """A question whose window mostly begins and ends at events, in the middle of hours and days."""
    moments = [START, END, *(event["time"] for event in dice.sample(events, min(len(events), 4)))]
    start, end = sorted(dice.sample(moments, 2))
    return UsageQuery(
        window=Window(start, max(end, start + timedelta(microseconds=1))),
        measures=tuple(dice.sample([*MEASURES], 3)) if dice.random() < 0.5 else MEASURES_OF_ALL,
        dimensions=tuple(dice.sample(dice.choice((ROLLED_UP, ROLLED_UP, OTHERS)), dice.choice((0, 1, 2)))),
        grain=dice.choice((None, None, *Grain)),
        zone=parse_zone(dice.choice(ZONES)),
        limit=10_000,
    )


@given(seed=st.integers(0, 2**32))
@settings(
    max_examples=rounds(1),
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_each_question_is_answered_as_of_its_moment_whatever_changes_meanwhile(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compaction, "WORTH_COMPACTING_ROWS", 20)
        patch.setattr(compaction, "STEP_ROWS", 60)
        folder: Path = tmp_path_factory.mktemp("store")
        store, readers = ChangedStore(folder), list[Reader]()
        try:
            history = History(store, random.Random(seed), fresh=random_events(seed, STEPS * 40))
            for step in range(STEPS):
                history.change()
                if step % 3 == 0:
                    readers.append(history.reader())
                    history.dice.choice(readers).expect_right(a_question(history.dice, readers[-1].events))
            for reader in readers:
                for _ in range(10):
                    reader.expect_right(a_question(history.dice, reader.events))
        finally:
            for reader in readers:
                reader.cursor.close()
            store.close()
