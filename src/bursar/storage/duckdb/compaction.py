"""Compaction: rollup rows of equal keys are replaced by their sum, in steps that are short at any size.

A rollup is a sum of rows that are only ever added (`rollup.py`), so it says the same before, between and
after any steps. A step is one transaction over some periods, or over a part of one large period's keys;
the applier makes one between two batches. A period is due once as many rows were added to it as were
left of it the last time, so that each row is written again about once, however long the store lives.
How many were left is kept in the table `compacted`, written by the step itself: a restart goes on where
the last run was, and a crash at any moment costs the step that wasn't finished.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bursar import clock
from bursar.storage.duckdb.connection import transaction
from bursar.storage.duckdb.rollup import ROLLUPS, rollup_sums

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    import duckdb

    from bursar.storage.duckdb.connection import Database

WORTH_COMPACTING_ROWS = 32_768
"""A rollup is left alone until so many rows were added to it: they are summed up in some milliseconds."""
STEP_ROWS = 16_384
"""Rows that one step takes up at most, about. A step takes 20 to 50 ms of processor time, at 18 million
stored events as at one."""

_SUMMED = "compacted_rows"

RowCounts = dict[str, dict["datetime", int]]
"""By rollup: how many rows each of its periods has."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction sums up: whole periods, or a part of one."""

    table: str
    first: datetime
    last: datetime
    """The last period, included."""
    part: int = 0
    parts: int = 1

    @property
    def is_last(self) -> bool:
        """Whether its periods are done with it."""
        return self.part == self.parts - 1

    @property
    def where(self) -> str:
        """The condition for its rows; its two values are the first and the last period."""
        period, *others = ROLLUPS[self.table]
        within = f"{period} BETWEEN ? AND ?"
        if self.parts == 1:
            return within
        # Rows of equal keys are always in the same part.
        return f"{within} AND hash({', '.join(others)}) % {self.parts} = {self.part}"


@dataclass(slots=True)
class CompactionCounters:
    """What compaction did since the start."""

    steps: int = 0
    seconds: float = 0.0
    rows_saved: int = 0


@dataclass(slots=True)
class _Growth:
    """One rollup: rows that each period had when it was last summed up, and those added since."""

    left: dict[datetime, int] = field(default_factory=dict["datetime", int])
    added: dict[datetime, int] = field(default_factory=dict["datetime", int])

    def due(self) -> set[datetime]:
        """Periods that are worth it; none while all together aren't."""
        if sum(self.added.values()) < WORTH_COMPACTING_ROWS:
            return set()
        return {period for period, rows in self.added.items() if rows >= max(1, self.left.get(period, 0))}

    def rows(self, period: datetime) -> int:
        """How many rows a period has by now, about."""
        return self.left.get(period, 0) + self.added.get(period, 0)


class RollupCompactor:
    """Sums up rollups step by step. Use it from the thread that applies, so that there is one writer."""

    def __init__(self, connection: Database) -> None:
        """Use this connection, and go on from what the store says was done."""
        self._connection = connection
        self._growth = {table: _Growth() for table in ROLLUPS}
        self._waiting: deque[Step] = deque()
        self.counters = CompactionCounters()
        kept = connection.execute("SELECT rollup, period, row_count FROM compacted").fetchall()
        for table, at, rows in kept:
            self._growth[table].left[at] = rows

    def note_added(self, rows: Mapping[str, int], events: Mapping[datetime, int]) -> None:
        """Take note of rows that were added, so that they are summed up in time.

        Args:
            rows: how many, by rollup.
            events: how many events of each hour they are about.
        """
        count = sum(events.values()) or 1
        for table, added in rows.items():
            noted = self._growth[table].added
            for hour, share in events.items():
                period = hour if next(iter(ROLLUPS[table])) == "hour" else hour.replace(hour=0)
                noted[period] = noted.get(period, 0) + -(-added * share // count)

    def know(self, counts: RowCounts) -> None:
        """Believe these counts instead of what was noted."""
        for table, periods in counts.items():
            known = self._growth[table].left
            left = {period: min(known.get(period, 0), rows) for period, rows in periods.items()}
            added = {period: rows - left[period] for period, rows in periods.items() if rows > left[period]}
            self._growth[table] = _Growth(left, added)

    def step(self) -> bool:
        """Sum up what is due, as much as a short transaction can; False where nothing is due.

        Readers see either all of the old rows or all of the new ones.
        """
        if not self._waiting:
            self._waiting.extend(self._plan())
        if not self._waiting:
            return False
        started = clock.monotonic()
        # A step that fails isn't tried again at once: its periods are due as before.
        self._replace(self._waiting.popleft())
        self.counters.steps += 1
        self.counters.seconds += clock.monotonic() - started
        return True

    def _plan(self) -> Iterable[Step]:
        """The steps for what is due in one rollup: neighbouring periods together up to `STEP_ROWS`."""
        for table, growth in self._growth.items():
            if due := growth.due():
                return _steps(table, due, growth)
        return ()

    def _replace(self, step: Step) -> None:
        connection, bounds = self._connection, [step.first, step.last]
        period = next(iter(ROLLUPS[step.table]))
        with transaction(connection):
            source = f"(SELECT * FROM {step.table} WHERE {step.where})"
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {_SUMMED} AS {rollup_sums(step.table, source)}", bounds
            )
            removed = connection.execute(f"DELETE FROM {step.table} WHERE {step.where}", bounds).fetchall()
            # A tenant's rows of a period stand together: a question reads few row groups.
            ordered = f"SELECT * FROM {_SUMMED} ORDER BY tenant_id, {period}"
            connection.execute(f"INSERT INTO {step.table} {ordered}")
            left = self._note_left(step) if step.is_last else None
            rows = connection.execute(f"SELECT count(*) FROM {_SUMMED}").fetchall()
            connection.execute(f"DROP TABLE {_SUMMED}")
        self.counters.rows_saved += int(removed[0][0]) - int(rows[0][0])
        if left is not None:
            self._forget_added(step, left)

    def _note_left(self, step: Step) -> dict[datetime, int]:
        """Keep how many rows the step's periods have now; those that have none are forgotten."""
        period, bounds = next(iter(ROLLUPS[step.table])), [step.first, step.last]
        source = _SUMMED if step.parts == 1 else step.table
        counts = f"SELECT {period}, count(*) FROM {source} WHERE {period} BETWEEN ? AND ? GROUP BY 1"
        rows = self._connection.execute(counts, bounds).fetchall()
        self._connection.execute(
            "DELETE FROM compacted WHERE rollup = ? AND period BETWEEN ? AND ?", [step.table, *bounds]
        )
        self._connection.execute(
            "INSERT INTO compacted SELECT ?, unnest(?::TIMESTAMP[]), unnest(?::BIGINT[])",
            [step.table, [row[0] for row in rows], [row[1] for row in rows]],
        )
        return dict(rows)

    def _forget_added(self, step: Step, left: Mapping[datetime, int]) -> None:
        growth = self._growth[step.table]
        for known in (growth.left, growth.added):
            for period in [one for one in known if step.first <= one <= step.last]:
                del known[period]
        growth.left.update(left)


def _steps(table: str, due: Collection[datetime], growth: _Growth) -> list[Step]:
    steps: list[Step] = []
    room = 0
    for period in sorted(growth.left.keys() | growth.added.keys()):
        rows = growth.rows(period)
        parts = -(-rows // STEP_ROWS)
        if period not in due:
            room = 0
        elif rows <= room:
            steps[-1] = Step(table, steps[-1].first, period)
            room -= rows
        else:
            steps += [Step(table, period, period, part, parts) for part in range(parts)]
            room = STEP_ROWS - rows if parts == 1 else 0
    return steps


def count_rollup_rows(connection: duckdb.DuckDBPyConnection) -> RowCounts:
    """How many rows each period of each rollup has. Only reads, from any thread with a cursor of its own."""
    counts: RowCounts = {}
    for table, dimensions in ROLLUPS.items():
        question = f"SELECT {next(iter(dimensions))}, count(*) FROM {table} GROUP BY 1"
        counts[table] = dict(connection.execute(question).fetchall())
    return counts
