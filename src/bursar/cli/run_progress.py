"""Following a run of a job to its end, with its progress on stderr; for every command that starts one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from bursar.cli.failures import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar_client import BursarClient

RUNS = "/api/v1/scheduler/runs"
POLL_SECONDS = 0.2
_OPEN = frozenset({"queued", "running"})


def follow_run(
    client: BursarClient, run: Mapping[str, Any], *, tenant: str | None = None
) -> Mapping[str, Any]:
    """Wait until the run has ended and answer it as it is then.

    Raises:
        CommandFailed: it ended in another way than by success; the text says how.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from bursar.cli.connection import path_of, tenant_params
    from bursar.cli.printing import console

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=(shown := console(stderr=True)),
        transient=True,
        disable=not shown.is_terminal,
    )
    with bar:
        task = bar.add_task(run["job_id"], total=None)
        while run["state"] in _OPEN:
            words = run["step"] or run["state"]
            bar.update(task, description=f"{run['job_id']}: {words}", completed=run["done"] or 0)
            bar.update(task, total=run["total"])
            time.sleep(POLL_SECONDS)
            run = client.request("GET", path_of(RUNS, run["id"]), params=tenant_params(tenant))
    if run["state"] != "succeeded":
        message = f"The run {run['id']} ended as '{run['state']}'." + (
            f" {run['error']}" if run["error"] else ""
        )
        raise CommandFailed(message)
    return run
