"""Whether a run that somebody asks for is taken: the job, its parameters, and how many wait already.

Who may ask for what is judged before, in `app/scheduler_api.py` and by the endpoints of single jobs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.errors import Invalid, Overloaded, Reason
from bursar.scheduling.job import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bursar.scheduling.job import Job
    from bursar.scheduling.run import Json, Run

QUEUED_LIMIT = 100
"""Runs of one job (and tenant) that may wait: a loop in somebody's script must not fill the store."""


def check_turn(job: Job, tenant_id: str | None, open_runs: Iterable[Run]) -> None:
    """Let one more run of the job wait, beside those that are open.

    Raises:
        Invalid: a tenant's run of a job without tenants.
        Overloaded: too many runs of it wait already.
    """
    if tenant_id is not None and not job.for_tenants:
        message = f"The job '{job.id}' is about the whole installation; leave the tenant out."
        raise Invalid(message, reasons=(Reason("tenant_id", "not_for_tenants", message),))
    waiting = sum((run.job_id, run.tenant_id) == (job.id, tenant_id) for run in open_runs)
    if waiting >= QUEUED_LIMIT:
        message = f"{QUEUED_LIMIT} runs of '{job.id}' wait already; try again later."
        raise Overloaded(message, retry_after_seconds=30)


def check_by_name(job: Job, parameters: Mapping[str, Json]) -> None:
    """Let a job be started by its name alone, with these parameters.

    Raises:
        Invalid: with every reason why these parameters are no good, or the job needs its own endpoint.
    """
    if job.by_request_only:
        message = f"The job '{job.id}' can't be started by name; it has an endpoint of its own."
        raise Invalid(message, reasons=(Reason("job_id", "by_request_only", message),))
    reasons = refuse_unknown(parameters, ()) if job.check is None else job.check(parameters)
    if reasons:
        raise Invalid(reasons=reasons)
