"""The job `audit-retention`: removes entries of the audit log that are older than its own retention.

What is removed is always the beginning of a chain, and an entry says through which number and hash, so
that `bursar audit verify` still holds. Nothing else ever removes an entry, except a tenant's deletion.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from bursar import clock
from bursar.scheduling.job import Cron, Job, RunContext

if TYPE_CHECKING:
    from bursar.app.job_ground import JobGround
    from bursar.scheduling.run import Json

AUDIT_RETENTION = "audit-retention"


def audit_retention_job(ground: JobGround) -> Job:
    """The job over these parts of the platform; scheduled where the settings give a number of days."""
    days = ground.settings.audit_retention_days

    def trim(context: RunContext) -> dict[str, Json]:
        if days == 0:
            return {"removed": 0}
        context.progress("removing old entries", 0, 1)
        removed = ground.audit.trim(clock.now() - timedelta(days=days))
        context.progress("removing old entries", 1, 1)
        return {"removed": removed}

    return Job(
        id=AUDIT_RETENTION,
        title="Removes entries of the audit log that are older than BURSAR_AUDIT_RETENTION_DAYS.",
        work=trim,
        schedule=Cron("40 3 * * *") if days else None,
        jitter_seconds=600,
        resumes=True,
    )
