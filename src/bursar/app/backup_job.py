"""The job `backup`: `bursar backup` beside a running server, and what `BURSAR_BACKUP_DIR` schedules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bursar.app.audited_folders import recorded_in
from bursar.app.backup import backup_running
from bursar.errors import ConfigurationError, Reason
from bursar.identity.audit.deed import BURSAR
from bursar.scheduling.job import Every, Job, RunContext, refuse_unknown
from bursar.scheduling.run import Json

if TYPE_CHECKING:
    from bursar.app.job_ground import JobGround

BACKUP = "backup"
LEDGER_BACKUP = "ledger.backup"
"""The act, as of a backup without a server."""
_TIMEOUT_SECONDS = 24 * 3600
_JITTER_SECONDS = 300


def backup_job(ground: JobGround) -> Job:
    """The job over these parts of the platform; scheduled where the settings name a folder."""
    settings = ground.settings

    def work(context: RunContext) -> Mapping[str, Json]:
        directory = context.parameters.get("directory") or settings.backup_dir
        if directory is None:
            message = "There is no folder to back up into: neither the run nor BURSAR_BACKUP_DIR names one."
            raise ConfigurationError(message)
        with_store = not context.parameters.get("without_store", False)
        # The whole ledger leaves: who may read the folder has it. The entry of the trigger says not where to.
        asked = {"directory": str(directory), "without_store": not with_store, "run": context.run_id}
        with recorded_in(ground.audit, BURSAR, LEDGER_BACKUP, asked) as after:
            report = backup_running(ground, Path(directory), context.progress, with_store=with_store)
            after.update(run=report.run, last_seq=report.last_seq)
        return asdict(report)

    def check(parameters: Mapping[str, Json]) -> tuple[Reason, ...]:
        return _wrong_parameters(parameters, has_folder=settings.backup_dir is not None)

    return Job(
        id=BACKUP,
        title="Copies the ledger into a folder from which `bursar restore` makes a new one.",
        work=work,
        schedule=None if settings.backup_dir is None else Every(settings.backup_every_hours * 3600),
        jitter_seconds=_JITTER_SECONDS,
        timeout_seconds=_TIMEOUT_SECONDS,
        check=check,
    )


def _wrong_parameters(parameters: Mapping[str, Json], *, has_folder: bool) -> tuple[Reason, ...]:
    reasons = [*refuse_unknown(parameters, ("directory", "without_store"))]
    directory = parameters.get("directory")
    if directory is None and not has_folder:
        text = "name a folder on the server's machine; BURSAR_BACKUP_DIR names none"
        reasons.append(Reason("parameters.directory", "required", text))
    if directory is not None and not (isinstance(directory, str) and Path(directory).is_absolute()):
        text = "an absolute path on the server's machine"
        reasons.append(Reason("parameters.directory", "not_absolute", text))
    if not isinstance(parameters.get("without_store", False), bool):
        reasons.append(Reason("parameters.without_store", "not_a_boolean", "true or false"))
    return tuple(reasons)
