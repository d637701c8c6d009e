"""Runs of jobs in SQL; implements `SchedulerStore` of `scheduling/store.py`.

Whatever a process says about a run at work names itself as the holder in the statement, so that one
which lost its lease changes nothing. The lease itself is in `leases.py`, notices and schedules in
`run_notices.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, exists, func, insert, or_, select, update

from bursar.errors import NotFound
from bursar.scheduling.run import ENDED, FAILURES, Run, RunState
from bursar.scheduling.store import RunPage
from bursar.storage.relational.engine import forget_replaced
from bursar.storage.relational.run_notices import RelationalNotices, RelationalSchedules, of
from bursar.storage.relational.run_rows import clean, row_of, run_of, to_json
from bursar.storage.relational.tables.identity import TENANTS
from bursar.storage.relational.tables.jobs import RECKONINGS, RUN_NOTICES, RUNS
from bursar.storage.relational.transactions import reading, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Engine, ScalarSelect

    from bursar.scheduling.run import Ending, Json
    from bursar.scheduling.store import RunAsk, Step

OPEN_STATES = (RunState.QUEUED.value, RunState.RUNNING.value)
_ENDED = tuple(state.value for state in ENDED)


class RelationalRuns:
    """Keeps runs in the tables behind an engine."""

    def __init__(self, engine: Engine, journal_id: str = "") -> None:
        """Keep them behind `engine`, whose tables are up to date, for who works on this journal."""
        self._engine = engine
        self._journal_id = journal_id

    def add(self, run: Run) -> Run:
        """See `RunStore.add`."""
        row = row_of(replace(run, journal_id=self._journal_id)) | {"tenant_since": _since(run.tenant_id)}
        with writing(self._engine) as connection:
            return run_of(connection.execute(insert(RUNS).values(row).returning(RUNS)).one())

    def run(self, run_id: str, tenant_id: str | None = None) -> Run:
        """See `RunStore.run`."""
        question = select(RUNS).where(RUNS.c.id == run_id)
        if tenant_id is not None:
            question = question.where(_about(tenant_id))
        with reading(self._engine) as connection:
            row = connection.execute(question).one_or_none()
        if row is None:
            message = f"There is no run '{run_id}'."
            raise NotFound(message)
        return run_of(row)

    def runs(self, ask: RunAsk) -> RunPage:
        """See `RunStore.runs`."""
        question = select(RUNS).order_by(RUNS.c.created_at.desc(), RUNS.c.id.desc()).limit(ask.limit + 1)
        if ask.tenant_id is not None:
            question = question.where(_about(ask.tenant_id))
        if ask.job_id is not None:
            question = question.where(RUNS.c.job_id == ask.job_id)
        if ask.states:
            question = question.where(RUNS.c.state.in_([state.value for state in ask.states]))
        if ask.before is not None:
            at, run_id = ask.before
            same = and_(RUNS.c.created_at == at, RUNS.c.id < run_id)
            question = question.where(or_(RUNS.c.created_at < at, same))
        with reading(self._engine) as connection:
            rows = connection.execute(question).all()
        return RunPage(tuple(map(run_of, rows[: ask.limit])), len(rows) > ask.limit)

    def open_runs(self, tenant_id: str | None = None) -> Sequence[Run]:
        """See `RunStore.open_runs`."""
        open_ones = RUNS.c.state.in_(OPEN_STATES), of(self._journal_id)
        question = select(RUNS).where(*open_ones).order_by(RUNS.c.created_at, RUNS.c.id)
        if tenant_id is not None:
            question = question.where(_about(tenant_id))
        with reading(self._engine) as connection:
            return tuple(map(run_of, connection.execute(question)))

    def begin(self, run_id: str, holder: str, at: datetime) -> Run | None:
        """See `RunStore.begin`."""
        statement = (
            update(RUNS)
            .where(RUNS.c.id == run_id, RUNS.c.state == RunState.QUEUED.value, of(self._journal_id))
            .values(
                state=RunState.RUNNING.value,
                holder=holder,
                attempts=RUNS.c.attempts + 1,
                started_at=func.coalesce(RUNS.c.started_at, at, type_=RUNS.c.started_at.type),
            )
            .returning(RUNS)
        )
        with writing(self._engine) as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else run_of(row)

    def note(self, run_id: str, holder: str, step: Step) -> bool:
        """See `RunStore.note`."""
        return self._change(
            run_id, holder, {"step": clean(step.name), "done": step.done, "total": step.total}
        )

    def save(self, run_id: str, holder: str, values: Mapping[str, Json]) -> bool:
        """See `RunStore.save`."""
        return self._change(run_id, holder, {"saved": to_json(values)})

    def put_back(self, run_id: str, holder: str) -> bool:
        """See `RunStore.put_back`."""
        return self._change(run_id, holder, {"state": RunState.QUEUED.value, "holder": None})

    def end(self, run_id: str, holder: str | None, ending: Ending, listeners: Collection[str]) -> bool:
        """See `RunStore.end`."""
        values = {
            "state": ending.state.value,
            "finished_at": ending.at,
            "result": None if ending.result is None else to_json(ending.result),
            "error": None if ending.error is None else clean(ending.error),
            "holder": None,
            "is_stop_asked": False,
        }
        with writing(self._engine) as connection:
            changed = connection.execute(update(RUNS).where(_held(run_id, holder)).values(values)).rowcount
            if changed and listeners:
                notices = [{"run_id": run_id, "listener": name, "attempts": 0} for name in listeners]
                connection.execute(insert(RUN_NOTICES), notices)
        return changed > 0

    def ask_stop(self, run_id: str) -> None:
        """See `RunStore.ask_stop`."""
        running = and_(RUNS.c.id == run_id, RUNS.c.state == RunState.RUNNING.value)
        with writing(self._engine) as connection:
            connection.execute(update(RUNS).where(running).values(is_stop_asked=True))

    def stops_asked(self, holder: str) -> Collection[str]:
        """See `RunStore.stops_asked`."""
        question = select(RUNS.c.id).where(RUNS.c.holder == holder, RUNS.c.is_stop_asked)
        with reading(self._engine) as connection:
            return set(connection.execute(question.where(RUNS.c.state == RunState.RUNNING.value)).scalars())

    def holders(self) -> Mapping[str, str]:
        """See `RunStore.holders`."""
        running = RUNS.c.state == RunState.RUNNING.value, of(self._journal_id)
        question = select(RUNS.c.id, RUNS.c.holder).where(*running)
        with reading(self._engine) as connection:
            return {row.id: row.holder for row in connection.execute(question)}

    def trim(self, run: Run, keep: int, failures_since: datetime) -> int:
        """See `RunStore.trim`."""
        alike = and_(
            RUNS.c.job_id == run.job_id,
            RUNS.c.tenant_id.is_not_distinct_from(run.tenant_id),
            RUNS.c.journal_id.is_not_distinct_from(run.journal_id),
            RUNS.c.state.in_(_ENDED),
        )
        newest = (
            select(RUNS.c.id).where(alike).order_by(RUNS.c.created_at.desc(), RUNS.c.id.desc()).limit(keep)
        )
        late_failure = and_(
            RUNS.c.state.in_([state.value for state in FAILURES]), RUNS.c.finished_at >= failures_since
        )
        gone = delete(RUNS).where(alike, RUNS.c.id.not_in(newest), ~late_failure)
        with writing(self._engine) as connection:
            return connection.execute(gone).rowcount

    def conceal_ended(self, tenant_id: str, is_named: Callable[[str], bool]) -> int:
        """Take the words of a tenant's ended runs away where they name somebody, for good; how many runs."""
        words = ("parameters", "saved", "result", "error", "step")
        ended = and_(RUNS.c.tenant_id == tenant_id, RUNS.c.state.in_(_ENDED))
        question = select(RUNS.c.id, *(RUNS.c[name] for name in words)).where(ended)
        with writing(self._engine) as connection:
            found = [
                row.id
                for row in connection.execute(question)
                if any(is_named(text) for text in row[1:] if text)
            ]
            if found:
                concealed = {**dict.fromkeys(words), "parameters": to_json({"concealed": True})}
                connection.execute(update(RUNS).where(RUNS.c.id.in_(found)).values(concealed))
        if found:
            forget_replaced(self._engine)
        return len(found)

    def conceal_parameter(self, run_id: str, name: str, instead: str) -> None:
        """Put something else in the place of a parameter of a run that has ended, for good."""
        ended = and_(RUNS.c.id == run_id, RUNS.c.state.in_(_ENDED))
        with writing(self._engine) as connection:
            row = connection.execute(select(RUNS).where(ended)).one_or_none()
            # The run may be trimmed, or its tenant deleted, and another erasure may have taken all its words.
            if row is None or name not in (kept := run_of(row).parameters):
                return
            values = {"parameters": to_json({**kept, name: instead})}
            connection.execute(update(RUNS).where(ended).values(values))
        forget_replaced(self._engine)

    def interrupt_open(self, at: datetime, error: str) -> int:
        """Mark every open run as interrupted, on a store that no runner works on; how many."""
        values = {"state": RunState.INTERRUPTED.value, "finished_at": at, "error": error, "holder": None}
        with writing(self._engine) as connection:
            return connection.execute(
                update(RUNS).where(RUNS.c.state.in_(OPEN_STATES)).values(values)
            ).rowcount

    def last_runs(self, tenant_id: str | None) -> Mapping[str, Run]:
        """See `RunStore.last_runs`."""
        later = RUNS.alias("later")
        newer = and_(
            later.c.job_id == RUNS.c.job_id,
            or_(later.c.journal_id == self._journal_id, later.c.journal_id.is_(None)),
            or_(
                later.c.created_at > RUNS.c.created_at,
                and_(later.c.created_at == RUNS.c.created_at, later.c.id > RUNS.c.id),
            ),
        )
        question = select(RUNS).where(of(self._journal_id))
        if tenant_id is not None:
            newer = and_(newer, later.c.tenant_id == tenant_id)
            question = question.where(_about(tenant_id))
        question = question.where(~exists().where(newer))
        with reading(self._engine) as connection:
            return {row.job_id: run_of(row) for row in connection.execute(question)}

    def _change(self, run_id: str, holder: str, values: Mapping[str, object]) -> bool:
        with writing(self._engine) as connection:
            done = connection.execute(update(RUNS).where(_held(run_id, holder)).values(**values))
        return done.rowcount > 0


class RelationalSchedulerStore(RelationalRuns, RelationalNotices, RelationalSchedules):
    """Keeps everything of jobs that outlives a process; see `scheduling/store.py` for each promise."""


def adopt_runs(engine: Engine, from_journal_id: str, journal_id: str) -> None:
    """Make the runs and schedules of one journal another's: of a restored copy that goes on by itself."""
    with writing(engine) as connection:
        for table in (RUNS, RECKONINGS):
            of_old = table.c.journal_id == from_journal_id
            connection.execute(update(table).where(of_old).values(journal_id=journal_id))


def _held(run_id: str, holder: str | None) -> ColumnElement[bool]:
    """The run, if this holder works on it; without a holder, if it is queued."""
    if holder is None:
        return and_(RUNS.c.id == run_id, RUNS.c.state == RunState.QUEUED.value)
    return and_(RUNS.c.id == run_id, RUNS.c.holder == holder, RUNS.c.state == RunState.RUNNING.value)


def _since(tenant_id: str | None) -> ScalarSelect[Any]:
    """When the tenant of this id was made, the one there is now."""
    return select(TENANTS.c.created_at).where(TENANTS.c.id == tenant_id).scalar_subquery()


def _about(tenant_id: str) -> ColumnElement[bool]:
    """Runs about this tenant as it is now; none of an earlier one of the same id."""
    is_now = or_(RUNS.c.tenant_since.is_(None), RUNS.c.tenant_since == _since(tenant_id))
    return and_(RUNS.c.tenant_id == tenant_id, is_now)
