"""The parts that must work for requests to be served, and how each is looked at.

The journal must take records, the applier must follow it, the two stores must answer. Each look may
block: `health.py` runs it in a thread and bounds its time.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bursar import clock
from bursar.app.health import HEALTHY, Check, Finding, HealthWord
from bursar.app.scheduler_api import look_at_scheduler
from bursar.identity.tenant import DEFAULT_TENANT_ID

if TYPE_CHECKING:
    from pathlib import Path

    from bursar.app.platform import Platform

LAG_LIMIT_SECONDS = 30.0
"""A store that is further behind the journal than this shows old figures: worth attention, yet it works.
Events are promised to be visible within a second."""


def checks_of(platform: Platform) -> list[Check]:
    """What to look at, in the order of an event's way."""
    return [
        Check("journal", lambda: _look_at_journal(platform)),
        Check("applier", lambda: _look_at_applier(platform)),
        Check("usage_store", lambda: _look_at_usage_store(platform)),
        Check("state_store", lambda: _look_at_state_store(platform)),
        Check("scheduler", lambda: look_at_scheduler(platform.runner)),
        *([Check("rate_limits", lambda: _look_at_rate_limits(platform))] if _counts(platform) else []),
    ]


def _look_at_journal(platform: Platform) -> Finding:
    platform.journal.check_room()
    try:
        _write_durably(platform.folder.scratch / "health-check")
    except OSError as error:
        return Finding(HealthWord.UNHEALTHY, f"The data folder can't be written: {error.strerror}.")
    return HEALTHY


def _write_durably(path: Path) -> None:
    """Do once what each commit of the journal does, on the same file system."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, b"ok\n")
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    path.unlink()


def _look_at_applier(platform: Platform) -> Finding:
    applier = platform.applier
    if not applier.is_alive:
        return Finding(HealthWord.UNHEALTHY, "The applier has stopped; restart Bursar. Nothing is lost.")
    if applier.state.failing is not None:
        return Finding(
            HealthWord.UNHEALTHY, f"Applying fails and is tried again; last error: {applier.state.failing}."
        )
    behind_since = applier.state.behind_since
    lag = 0.0 if behind_since is None else clock.monotonic() - behind_since
    if lag > LAG_LIMIT_SECONDS:
        return Finding(HealthWord.DEGRADED, f"The usage store is {lag:.0f} s behind the journal.")
    return HEALTHY


def _look_at_usage_store(platform: Platform) -> Finding:
    cursor = platform.stores.cursor()
    try:
        cursor.execute("SELECT seq FROM applied").fetchall()
    finally:
        cursor.close()
    return HEALTHY


def _look_at_state_store(platform: Platform) -> Finding:
    platform.identity.tenant(DEFAULT_TENANT_ID)
    return HEALTHY


def _counts(platform: Platform) -> bool:
    return platform.limits.is_counting or platform.limits.is_shared


def _look_at_rate_limits(platform: Platform) -> Finding:
    if platform.limits.is_alone:
        return Finding(
            HealthWord.DEGRADED, "Redis doesn't answer: this server counts rate limits by itself meanwhile."
        )
    return HEALTHY
