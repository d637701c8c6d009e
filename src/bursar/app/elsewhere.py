"""Has the other servers on the same state store remove what they recorded of who is deleted.

Servers with data folders of their own may share a state store. A tenant or a project is one for all of
them, what it recorded is in each one's journal. So each gets a run of the job `reset` of its own, which it
carries out when it is up; the deletion goes on when all have. A journal whose folder is gone for good is
left out on the operator's word.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from bursar import clock
from bursar.app.owners import SINCE
from bursar.errors import Conflict, NotFound
from bursar.identity.authenticate import BELIEVED_FOR
from bursar.scheduling.run import ENDED, Run, RunState, Trigger, make_run_id
from bursar.storage.relational.run_notices import known_journals
from bursar.storage.relational.runs import RelationalRuns
from bursar.usage.revising.resetting import PROJECT, RESET_JOB

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.app.job_ground import JobGround
    from bursar.scheduling.job import RunContext

PART_OF = "part_of"
"""The parameter of a reset that says which run, on another server, waits for it."""
LOOK_SECONDS = 1.0
SETTLED_SECONDS = BELIEVED_FOR.total_seconds() + 1
"""After this every server knows that the tenant, or the project, is suspended."""


@dataclass(frozen=True, slots=True)
class OtherServers:
    """Implements `Elsewhere` over the state store. Use from the threads of runs."""

    ground: JobGround

    def reset(self, run: RunContext) -> None:
        """See `Elsewhere.reset`."""
        saved = dict(run.saved or {})
        if "elsewhere" not in saved:
            others = set(known_journals(self.ground.engine)) - {self._own}
            if others:
                _wait(run, SETTLED_SECONDS)
            saved["elsewhere"] = {journal_id: self._ask(run, journal_id) for journal_id in sorted(others)}
            run.save(saved)
        asked: Mapping[str, str] = saved["elsewhere"]
        for done, (journal_id, run_id) in enumerate(asked.items()):
            while not self._has_ended(run_id, journal_id):
                step = f"waiting for the server on journal {journal_id} to remove its part"
                run.wait(step, done, len(asked), LOOK_SECONDS)

    @property
    def _own(self) -> str:
        return self.ground.stores.journal.identity.journal_id

    def _ask(self, run: RunContext, journal_id: str) -> str:
        """A run for the server on this journal; its id. Asked twice it resets twice, which does no harm."""
        names = "reason", PROJECT, SINCE
        asked = Run(
            id=make_run_id(clock.now()),
            job_id=RESET_JOB,
            tenant_id=run.tenant_id,
            state=RunState.QUEUED,
            trigger=Trigger.REQUEST,
            asked_by=run.asked_by,
            parameters={
                PART_OF: run.run_id,
                **{name: run.parameters[name] for name in names if name in run.parameters},
            },
            created_at=clock.now(),
        )
        return RelationalRuns(self.ground.engine, journal_id).add(asked).id

    def _has_ended(self, run_id: str, journal_id: str) -> bool:
        try:
            found = RelationalRuns(self.ground.engine).run(run_id)
        except NotFound:
            # Forgotten with the oldest of many: it had ended.
            return True
        if found.state in ENDED and found.state is not RunState.SUCCEEDED:
            message = (
                f"The server on journal {journal_id} could not remove what it recorded: its run {run_id}"
                f" ended as {found.state.value}. Ask for the deletion again."
            )
            raise Conflict(message)
        return found.state is RunState.SUCCEEDED


@dataclass(frozen=True, slots=True)
class RefuseLate:
    """Refuses resets that come too late, as they do on a server that was down when they were asked for."""

    ground: JobGround

    def __call__(self, run: RunContext) -> None:
        """Let a run go on, unless its deletion has ended or its project is a later one of the same id.

        Raises:
            Conflict: nothing may be removed by it any more.
        """
        whole = run.parameters.get(PART_OF)
        if whole is not None and not self._is_open(str(whole)):
            message = f"The deletion that this is part of, run {whole}, has ended; nothing was removed."
            raise Conflict(message)
        since = run.parameters.get(SINCE)
        if since is not None and self._was_made_again(run, datetime.fromisoformat(str(since))):
            message = "The project was made again since; nothing was removed of the new one."
            raise Conflict(message)

    def _is_open(self, run_id: str) -> bool:
        try:
            return RelationalRuns(self.ground.engine).run(run_id).state not in ENDED
        except NotFound:
            return False

    def _was_made_again(self, run: RunContext, since: datetime) -> bool:
        try:
            project = self.ground.identity.project(str(run.tenant_id), str(run.parameters[PROJECT]))
        except NotFound:
            return False
        return project.created_at != since


def _wait(run: RunContext, seconds: float) -> None:
    until = clock.monotonic() + seconds
    while clock.monotonic() < until:
        run.progress("waiting until every server refuses the usage", 0)
        threading.Event().wait(LOOK_SECONDS)
