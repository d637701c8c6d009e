"""What every door asks: from which moment on a tenant's events are taken. In memory, and cheap.

The horizon is where the tenant's retention ends, or where its last expiry did, whichever is later: what
has expired once can't come back by a wider retention, for its keys are gone and it would count twice.
A project of which less is kept has a horizon of its own, which never lies before its tenant's.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from bursar.errors import ConfigurationError, Invalid, Reason
from bursar.usage.retention.policy import (
    FOREVER,
    RetentionChoice,
    contradictions,
    horizon,
    refuse_project_days,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from bursar.usage.retention.policy import Retention
    from bursar.usage.whose import Whose

_NO_CHOICE = RetentionChoice()


class RetentionStore(Protocol):
    """Keeps what tenants have chosen, for themselves and for projects."""

    def choices(self) -> Mapping[Whose, RetentionChoice]:
        """What is chosen for every tenant and every project that anything is chosen for."""
        ...

    def choose(self, tenant_id: str, choice: RetentionChoice, project_id: str | None = None) -> None:
        """Keep a choice for a tenant, or for one project of it; on disk when this returns.

        Raises:
            NotFound: there is no such tenant, or no such project.
        """
        ...


class _Shortest(NamedTuple):
    """Of all projects of a tenant: the fewest days of events, and how far any of them has expired."""

    days: int
    expired: datetime | None


@dataclass(slots=True)
class _OfTenant:
    """What is known of a tenant, by its projects; None stands for the tenant itself."""

    choices: dict[str | None, RetentionChoice] = field(default_factory=dict[str | None, RetentionChoice])
    expired: dict[str | None, datetime] = field(default_factory=dict[str | None, "datetime"])
    shortest: _Shortest | None = None
    """None where no project has a horizon of its own."""

    def retention(self, defaults: Retention, project_id: str | None) -> Retention:
        """What is in force."""
        own = self.choices.get(None, _NO_CHOICE).over(defaults)
        chosen = None if project_id is None else self.choices.get(project_id)
        return own if chosen is None else chosen.within(own)

    def sum_up(self, defaults: Retention) -> None:
        """Find the shortest of the projects anew."""
        days = [self.retention(defaults, one).events for one in self.choices if one is not None]
        expired = [until for one, until in self.expired.items() if one is not None]
        fewest = min(filter(None, days), default=FOREVER)
        self.shortest = _Shortest(fewest, max(expired, default=None)) if days or expired else None


class Horizons:
    """Each tenant's retention and horizon, and its projects'; safe to call from any thread."""

    def __init__(
        self,
        store: RetentionStore,
        defaults: Retention,
        max_past_days: int,
        expired: Mapping[Whose, datetime],
    ) -> None:
        """Know what is chosen, and how far each tenant's and project's events have expired already.

        Raises:
            ConfigurationError: settings and choices contradict each other; `reasons` has all of it.
        """
        self.defaults = defaults
        self._store = store
        self._max_past_days = max_past_days
        self._lock = threading.Lock()
        self._known: dict[str, _OfTenant] = {}
        for whose, until in expired.items():
            self._of(whose.tenant_id).expired[whose.project_id] = until
        self.refresh()
        _refuse_start(defaults, self._known, max_past_days)

    def refresh(self) -> None:
        """Read again what is chosen: other servers on the same state store may have changed it."""
        with self._lock:
            found: dict[str, dict[str | None, RetentionChoice]] = {}
            for whose, choice in self._store.choices().items():
                found.setdefault(whose.tenant_id, {})[whose.project_id] = choice
            for tenant_id in {*found, *self._known}:
                known = self._of(tenant_id)
                known.choices = found.get(tenant_id, {})
                known.sum_up(self.defaults)

    def choice_of(self, tenant_id: str, project_id: str | None = None) -> RetentionChoice:
        """What the tenant has chosen itself, or for a project."""
        known = self._known.get(tenant_id)
        return _NO_CHOICE if known is None else known.choices.get(project_id, _NO_CHOICE)

    def retention_of(self, tenant_id: str, project_id: str | None = None) -> Retention:
        """What is in force for the tenant, or for a project."""
        known = self._known.get(tenant_id)
        return self.defaults if known is None else known.retention(self.defaults, project_id)

    def projects_of(self, tenant_id: str) -> tuple[str, ...]:
        """The projects of a tenant for which something is chosen, in order."""
        known = self._known.get(tenant_id)
        chosen = () if known is None else known.choices.copy()
        return tuple(sorted(one for one in chosen if one is not None))

    def horizon_of(self, tenant_id: str, now: datetime, project_id: str | None = None) -> datetime | None:
        """The moment before which events of the tenant, or of a project, are refused; None: there is none."""
        known = self._known.get(tenant_id)
        if known is None:
            return horizon(self.defaults.events, now)
        moments = [
            horizon(known.retention(self.defaults, project_id).events, now),
            known.expired.get(None),
            None if project_id is None else known.expired.get(project_id),
        ]
        return _latest(moments)

    def latest_of(self, tenant_id: str, now: datetime) -> datetime | None:
        """The latest horizon of a tenant and all its projects: behind it everything is kept."""
        found, known = self.horizon_of(tenant_id, now), self._known.get(tenant_id)
        if known is None or known.shortest is None:
            return found
        return _latest((found, horizon(known.shortest.days, now), known.shortest.expired))

    def choose(self, tenant_id: str, choice: RetentionChoice, project_id: str | None = None) -> Retention:
        """Keep a choice of the tenant, or for a project, and let it count at once; what is in force then.

        Raises:
            Invalid: with every reason why these days can't be.
            NotFound: there is no such tenant, or no such project.
        """
        with self._lock:
            if project_id is None:
                reasons = contradictions(choice.over(self.defaults), self._max_past_days)
            else:
                reasons = refuse_project_days(choice, self.retention_of(tenant_id), self._max_past_days)
            if reasons:
                raise Invalid(reasons=reasons)
            self._store.choose(tenant_id, choice, project_id)
            known = self._of(tenant_id)
            known.choices[project_id] = choice
            known.sum_up(self.defaults)
            return known.retention(self.defaults, project_id)

    def note_expired(self, tenant_id: str, before: datetime, project_id: str | None = None) -> None:
        """Refuse what lies before from now on: its expiry is about to be journaled."""
        with self._lock:
            known = self._of(tenant_id)
            earlier = known.expired.get(project_id)
            known.expired[project_id] = before if earlier is None else max(earlier, before)
            known.sum_up(self.defaults)

    def forget(self, tenant_id: str, project_id: str | None = None) -> None:
        """Know nothing of a tenant, or a project, that is no more: another one of its id begins anew."""
        with self._lock:
            if project_id is None:
                self._known.pop(tenant_id, None)
            elif (known := self._known.get(tenant_id)) is not None:
                known.choices.pop(project_id, None)
                known.expired.pop(project_id, None)
                known.sum_up(self.defaults)

    def _of(self, tenant_id: str) -> _OfTenant:
        return self._known.setdefault(tenant_id, _OfTenant())


def _latest(moments: Iterable[datetime | None]) -> datetime | None:
    return max((one for one in moments if one is not None), default=None)


def _refuse_start(defaults: Retention, known: Mapping[str, _OfTenant], max_past_days: int) -> None:
    reasons = [
        Reason(f"BURSAR_RETENTION_{reason.field.upper()}", reason.code, reason.message)
        for reason in contradictions(defaults, max_past_days)
    ]
    if not reasons:
        chosen = [(tenant_id, one) for tenant_id in sorted(known) for one in known[tenant_id].choices]
        for tenant_id, project_id in sorted(chosen, key=lambda one: (one[0], one[1] or "")):
            retention = known[tenant_id].retention(defaults, project_id)
            whose = tenant_id if project_id is None else f"{tenant_id}/{project_id}"
            what = "tenant" if project_id is None else "project"
            reasons += [
                Reason(f"{whose}.{reason.field}", reason.code, f"{what} {whose}: {reason.message}")
                for reason in contradictions(retention, max_past_days)
            ]
    if reasons:
        listed = "\n  ".join(f"{reason.field} {reason.message}" for reason in reasons)
        message = (
            f"Retention and settings contradict each other:\n  {listed}\n"
            "Change BURSAR_RETENTION_… or BURSAR_MAX_PAST_DAYS; with the former value of"
            " BURSAR_MAX_PAST_DAYS, `bursar retention set` changes a tenant's days."
        )
        raise ConfigurationError(message, reasons=tuple(reasons))
