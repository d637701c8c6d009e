"""What every door asks: from which moment on a tenant's events are taken. In memory, and cheap.

The horizon is where the tenant's retention ends, or where its last expiry did, whichever is later: what
has expired once can't come back by a wider retention, for its keys are gone and it would count twice.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from bursar.errors import ConfigurationError, Invalid, Reason
from bursar.usage.retention.policy import RetentionChoice, contradictions, horizon

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bursar.usage.retention.policy import Retention

_NO_CHOICE = RetentionChoice()


class RetentionStore(Protocol):
    """Keeps what tenants have chosen."""

    def choices(self) -> Mapping[str, RetentionChoice]:
        """What every tenant that chose anything has chosen."""
        ...

    def choose(self, tenant_id: str, choice: RetentionChoice) -> None:
        """Keep a tenant's choice; on disk when this returns.

        Raises:
            NotFound: there is no such tenant.
        """
        ...


class Horizons:
    """Each tenant's retention and horizon; safe to call from any thread."""

    def __init__(
        self,
        store: RetentionStore,
        defaults: Retention,
        max_past_days: int,
        expired: Mapping[str, datetime],
    ) -> None:
        """Know what is chosen, and how far each tenant's events have expired already.

        Raises:
            ConfigurationError: settings and choices contradict each other; `reasons` has all of it.
        """
        self.defaults = defaults
        self._store = store
        self._max_past_days = max_past_days
        self._choices = dict(store.choices())
        self._expired = dict(expired)
        self._lock = threading.Lock()
        _refuse_start(defaults, self._choices, max_past_days)

    def choice_of(self, tenant_id: str) -> RetentionChoice:
        """What the tenant has chosen itself."""
        return self._choices.get(tenant_id, _NO_CHOICE)

    def retention_of(self, tenant_id: str) -> Retention:
        """What is in force for the tenant."""
        choice = self._choices.get(tenant_id)
        return self.defaults if choice is None else choice.over(self.defaults)

    def horizon_of(self, tenant_id: str, now: datetime) -> datetime | None:
        """The moment before which the tenant's events are refused; None where there is none."""
        expired = self._expired.get(tenant_id)
        chosen = horizon(self.retention_of(tenant_id).events, now)
        if expired is None or chosen is None:
            return chosen or expired
        return max(chosen, expired)

    def choose(self, tenant_id: str, choice: RetentionChoice) -> Retention:
        """Keep the tenant's choice and let it count at once; the retention in force then.

        Raises:
            Invalid: with every reason why these days can't be.
            NotFound: there is no such tenant.
        """
        retention = choice.over(self.defaults)
        reasons = contradictions(retention, self._max_past_days)
        if reasons:
            raise Invalid(reasons=reasons)
        with self._lock:
            self._store.choose(tenant_id, choice)
            self._choices[tenant_id] = choice
        return retention

    def note_expired(self, tenant_id: str, before: datetime) -> None:
        """Refuse what lies before from now on: its expiry is about to be journaled."""
        with self._lock:
            known = self._expired.get(tenant_id)
            self._expired[tenant_id] = before if known is None else max(known, before)

    def forget(self, tenant_id: str) -> None:
        """Know nothing of a tenant that is no more: another one of its id begins anew."""
        with self._lock:
            self._choices.pop(tenant_id, None)
            self._expired.pop(tenant_id, None)


def _refuse_start(defaults: Retention, choices: Mapping[str, RetentionChoice], max_past_days: int) -> None:
    reasons = [
        Reason(f"BURSAR_RETENTION_{reason.field.upper()}", reason.code, reason.message)
        for reason in contradictions(defaults, max_past_days)
    ]
    for tenant_id, choice in sorted(choices.items()):
        if contradictions(defaults, max_past_days):
            break
        reasons += [
            Reason(f"{tenant_id}.{reason.field}", reason.code, f"tenant {tenant_id}: {reason.message}")
            for reason in contradictions(choice.over(defaults), max_past_days)
        ]
    if reasons:
        listed = "\n  ".join(f"{reason.field} {reason.message}" for reason in reasons)
        message = (
            f"Retention and settings contradict each other:\n  {listed}\n"
            "Change BURSAR_RETENTION_… or BURSAR_MAX_PAST_DAYS; with the former value of"
            " BURSAR_MAX_PAST_DAYS, `bursar retention set` changes a tenant's days."
        )
        raise ConfigurationError(message, reasons=tuple(reasons))
