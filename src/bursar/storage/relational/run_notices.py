"""What listeners were told of runs, and how far schedules are accounted for, in SQL.

Implements `NoticeStore` and `ScheduleStore` of `scheduling/store.py`; `runs.py` puts all parts together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, or_, select, update

from bursar.scheduling.run import Notice
from bursar.storage.relational.tables.jobs import RECKONINGS, RUN_NOTICES, RUNS
from bursar.storage.relational.transactions import reading, writing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Engine, Select


_IN_USE = ""
"""What stands for a job where a journal is only noted."""


def of(journal_id: str) -> ColumnElement[bool]:
    """Runs that work on this journal, and those from before runs said which."""
    return or_(RUNS.c.journal_id == journal_id, RUNS.c.journal_id.is_(None))


class RelationalNotices:
    """Keeps notices in the tables behind an engine."""

    _engine: Engine
    _journal_id: str

    def owed(self, attempts_limit: int) -> Sequence[Notice]:
        """See `NoticeStore.owed`."""
        owed = RUN_NOTICES.c.told_at.is_(None), RUN_NOTICES.c.attempts < attempts_limit, of(self._journal_id)
        question = select(RUN_NOTICES).join(RUNS, RUNS.c.id == RUN_NOTICES.c.run_id).where(*owed)
        return self._notices(question.order_by(RUNS.c.finished_at, RUNS.c.id))

    def told(self, notice: Notice) -> None:
        """See `NoticeStore.told`."""
        one = RUN_NOTICES.c.run_id == notice.run_id, RUN_NOTICES.c.listener == notice.listener
        error = None if notice.error is None else notice.error.replace("\0", "�")
        values = {"told_at": notice.told_at, "attempts": notice.attempts, "error": error}
        with writing(self._engine) as connection:
            connection.execute(update(RUN_NOTICES).where(*one).values(values))

    def notices(self, run_id: str) -> Sequence[Notice]:
        """See `NoticeStore.notices`."""
        question = select(RUN_NOTICES).where(RUN_NOTICES.c.run_id == run_id)
        return self._notices(question.order_by(RUN_NOTICES.c.listener))

    def _notices(self, question: Select[tuple[object, ...]]) -> tuple[Notice, ...]:
        with reading(self._engine) as connection:
            return tuple(
                Notice(row.run_id, row.listener, row.told_at, row.attempts, row.error)
                for row in connection.execute(question)
            )


def known_journals(engine: Engine) -> list[str]:
    """Every journal that a server on this state store has worked on."""
    with reading(engine) as connection:
        found = connection.execute(select(RECKONINGS.c.journal_id).distinct()).scalars()
        return sorted(journal_id for journal_id in found if journal_id)


class RelationalSchedules:
    """Keeps in the tables behind an engine up to when each schedule is accounted for."""

    _engine: Engine
    _journal_id: str

    def note_journal(self, at: datetime) -> None:
        """Note that a server works on this journal, whether it keeps time or not."""
        self.reckon(_IN_USE, at)

    def reckoned(self) -> Mapping[str, datetime]:
        """See `ScheduleStore.reckoned`."""
        with reading(self._engine) as connection:
            # What was said of all journals counts where nothing is said of this one.
            of_this = RECKONINGS.c.journal_id.in_(["", self._journal_id])
            rows = connection.execute(select(RECKONINGS).where(of_this).order_by(RECKONINGS.c.journal_id))
            return {row.job_id: row.reckoned_until for row in rows if row.job_id != _IN_USE}

    def reckon(self, job_id: str, until: datetime) -> None:
        """See `ScheduleStore.reckon`."""
        with writing(self._engine) as connection:
            # Only the holder of the lease does this, so nobody can come in between.
            mine = RECKONINGS.c.journal_id == self._journal_id, RECKONINGS.c.job_id == job_id
            connection.execute(delete(RECKONINGS).where(*mine))
            values = {"journal_id": self._journal_id, "job_id": job_id, "reckoned_until": until}
            connection.execute(insert(RECKONINGS).values(values))
