"""For how many days each kind of data is kept, and which choices go together. Pure values and decisions.

A tenant chooses some kinds and leaves others to the installation's defaults. One of its projects may be
kept for fewer days than the rest, never for more. Days are whole days in UTC: what lies before the midnight
that many days ago has expired.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bursar import clock
from bursar.errors import Reason

FOREVER = 0
"""As a number of days: nothing expires."""
DAYS_LIMIT = 36_500


class Kind(StrEnum):
    """Data that is kept for a number of days of its own."""

    EVENTS = "events"
    """Raw events and their history."""
    ROLLUPS = "rollups"
    """Sums per hour and per day; they outlive the events they came from."""
    QUARANTINE = "quarantine"
    """Records that were refused behind the door."""


@dataclass(frozen=True, slots=True)
class Retention:
    """For how many days each kind is kept; `FOREVER` without end."""

    events: int = FOREVER
    rollups: int = FOREVER
    quarantine: int = FOREVER
    archive: int = FOREVER
    """Of the journal's segments: one choice for all tenants, for they share them."""

    def days(self, kind: Kind) -> int:
        """The days of one kind."""
        return {Kind.EVENTS: self.events, Kind.ROLLUPS: self.rollups, Kind.QUARANTINE: self.quarantine}[kind]


@dataclass(frozen=True, slots=True)
class RetentionChoice:
    """What a tenant has chosen; None leaves a kind to the default.

    Or what it has chosen for one of its projects, whose kinds are left to the tenant's days. Nothing in
    quarantine is of a project.
    """

    events: int | None = None
    rollups: int | None = None
    quarantine: int | None = None

    def over(self, defaults: Retention) -> Retention:
        """The retention in force."""
        return Retention(
            defaults.events if self.events is None else self.events,
            defaults.rollups if self.rollups is None else self.rollups,
            defaults.quarantine if self.quarantine is None else self.quarantine,
            defaults.archive,
        )

    def within(self, tenant: Retention) -> Retention:
        """What is in force for a project: of each kind the fewer days, the tenant's or its own.

        Where its sums go before its events the events go with them: the tenant has widened its own since.
        """
        asked = self.asked_within(tenant)
        return replace(asked, events=_fewer(asked.events, asked.rollups))

    def asked_within(self, tenant: Retention) -> Retention:
        """The fewer days of each kind by itself, which may contradict each other."""
        events, rollups = _fewer(tenant.events, self.events), _fewer(tenant.rollups, self.rollups)
        return replace(tenant, events=events, rollups=rollups)


def _fewer(days: int, others: int | None) -> int:
    """The fewer days of two, where `FOREVER` is the most."""
    return min((one for one in (days, others) if one), default=FOREVER)


def horizon(days: int, now: datetime) -> datetime | None:
    """The midnight in UTC before which everything has expired; None: nothing ever does."""
    if days == FOREVER:
        return None
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return max(today - timedelta(days=min(days, (today - clock.EPOCH).days)), clock.EPOCH)


def contradictions(retention: Retention, max_past_days: int) -> tuple[Reason, ...]:
    """Every reason why this retention can't be.

    A retry must never meet a key that is gone, sums must never go before the events they were made of, and
    the journal never before the events that it holds.

    Args:
        retention: the days that would be in force.
        max_past_days: how old an event may be at the native doors.
    """
    reasons: list[Reason] = []
    least = max_past_days + 1
    if retention.events != FOREVER and retention.events < least:
        text = f"must be {least} days or more: events up to {max_past_days} days old are accepted"
        reasons.append(Reason("events_days", "too_short", text))
    if retention.rollups != FOREVER and retention.events == FOREVER:
        text = "sums can't expire while events are kept forever; give the events days too"
        reasons.append(Reason("rollups_days", "shorter_than_events", text))
    elif retention.rollups != FOREVER and retention.rollups < retention.events:
        text = f"must be {retention.events} days or more: sums are kept at least as long as events"
        reasons.append(Reason("rollups_days", "shorter_than_events", text))
    archive = retention.archive
    if archive != FOREVER and archive < least:
        text = f"can't be: the journal is kept for {archive} days, and has to be for {least} or more"
        reasons.append(Reason("events_days", "longer_than_archive", text))
    elif archive != FOREVER and not 0 < retention.events <= archive:
        text = f"must be {least} to {archive} days: the journal itself is kept for {archive} days"
        reasons.append(Reason("events_days", "longer_than_archive", text))
    return tuple(reasons)


def refuse_project_days(choice: RetentionChoice, tenant: Retention, max_past_days: int) -> tuple[Reason, ...]:
    """Every reason why a project can't be kept for these days.

    Args:
        choice: the project's days.
        tenant: what is in force for its tenant.
        max_past_days: how old an event may be at the native doors.
    """
    reasons: list[Reason] = []
    for kind, chosen in ((Kind.EVENTS, choice.events), (Kind.ROLLUPS, choice.rollups)):
        most = tenant.days(kind)
        if chosen is not None and most != FOREVER and not 0 < chosen <= most:
            text = f"must be {most} days or fewer: the tenant's own {kind} are kept for {most} days"
            reasons.append(Reason(f"{kind}_days", "longer_than_tenant", text))
    if choice.quarantine is not None:
        text = "is the tenant's alone: nothing in quarantine is of a project"
        reasons.append(Reason("quarantine_days", "not_of_projects", text))
    return (*reasons, *contradictions(choice.asked_within(tenant), max_past_days))
