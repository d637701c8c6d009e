"""The jobs that change what was recorded, put together from the platform's parts.

Each has an endpoint of its own that says what it is about (`voids.py` and its neighbours); their work is
in `usage/revising/`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bursar.app.billing import seats_of
from bursar.app.elsewhere import OtherServers, RefuseLate
from bursar.app.owners import Projects, Tenants
from bursar.app.purging import Purger
from bursar.identity.permissions import Permission
from bursar.scheduling.job import Job
from bursar.storage.relational.runs import RelationalRuns
from bursar.usage.revising.deletion import DELETE_JOB, DELETE_PROJECT_JOB, DeleteWork
from bursar.usage.revising.erasure import CONCEALED, ERASE_JOB, EraseWork
from bursar.usage.revising.repricing import REPRICE_JOB, Cards, RepriceWork
from bursar.usage.revising.resetting import RESET_JOB, ResetWork
from bursar.usage.revising.voiding import VOID_JOB, VoidWork

if TYPE_CHECKING:
    from bursar.app.job_ground import JobGround
    from bursar.app.rewritings import Rewritings
    from bursar.scheduling.job import Work
    from bursar.scheduling.run import Run

TIMEOUT_SECONDS = 24 * 3600
"""A change of everything that a large tenant recorded takes hours; after a restart it goes on anyway."""

_PERMISSIONS = {
    VOID_JOB: Permission.USAGE_WRITE,
    ERASE_JOB: Permission.USAGE_ERASE,
    REPRICE_JOB: Permission.PRICES_WRITE,
    RESET_JOB: Permission.USAGE_ERASE,
    DELETE_JOB: Permission.TENANTS_WRITE,
    DELETE_PROJECT_JOB: Permission.USAGE_ERASE,
}
"""What each asks for: what its own endpoint does."""


def change_jobs(ground: JobGround, rewritings: Rewritings) -> list[Job]:
    """Jobs that take events out, or what leads to a person, or everything of a tenant."""
    changes, questions, purger = ground.changes, ground.questions, Purger(ground, rewritings)
    seats, refuse_late = seats_of(ground), RefuseLate(ground)
    reset = ResetWork(changes, purger, lambda one: seats.anew(one.tenant_id, one.project_id), refuse_late)

    def forget_identifiers(run: Run) -> None:
        ground.seals.destroy(run.parameters["identifiers"])
        RelationalRuns(ground.engine).conceal_parameter(run.id, "identifiers", CONCEALED)

    cards = Cards(ground.snapshots.load, ground.snapshots.save)
    reprice = RepriceWork(changes, questions, ground.books, cards)
    others = OtherServers(ground)
    return [
        _job(VOID_JOB, "Takes selected events out of every total.", VoidWork(changes, questions)),
        replace(
            _job(
                ERASE_JOB,
                "Takes a person out of everything.",
                EraseWork(changes, questions, purger, ground.seals.open),
            ),
            settled=forget_identifiers,
        ),
        replace(
            _job(REPRICE_JOB, "Rates selected events by the prices of now.", reprice),
            done=reprice.done,
            settled=reprice.abandon,
        ),
        _job(RESET_JOB, "Removes everything that a tenant recorded.", reset),
        _job(DELETE_JOB, "Removes a tenant with all it has.", DeleteWork(reset, Tenants(ground), others)),
        _job(
            DELETE_PROJECT_JOB,
            "Removes a project with all it has.",
            DeleteWork(reset, Projects(ground), others),
        ),
    ]


def destroy_unneeded_pads(ground: JobGround) -> None:
    """Destroy what opens the words of runs that have ended; at the start, before anybody seals."""
    runs = RelationalRuns(ground.engine, ground.stores.journal.identity.journal_id)
    open_ones = [run for run in runs.open_runs() if run.job_id == ERASE_JOB]
    ground.seals.keep_only({run.parameters["identifiers"]["pad"] for run in open_ones})


def _job(job_id: str, title: str, work: Work) -> Job:
    return Job(
        id=job_id,
        title=title,
        work=work,
        resumes=True,
        for_tenants=True,
        permission=_PERMISSIONS[job_id],
        by_request_only=True,
        timeout_seconds=TIMEOUT_SECONDS,
    )
