"""The work of the `retention` job: journals an expiry for whatever has passed its horizon.

The record does the rest where it is applied (decision 7). A run goes tenant by tenant, for each first what
all of it has, then project by project, and kind by kind;
what it journaled shows in the store, so a run that begins again passes it over, and an expiry that is
journaled twice finds nothing the second time. A dry run says what would go and changes nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from bursar import clock
from bursar.errors import Reason
from bursar.scheduling.job import refuse_unknown
from bursar.usage.changes import EXPIRE, PROJECT_EXPIRE, ExpireRecord
from bursar.usage.query import Filter, FilterOp
from bursar.usage.retention.policy import Kind, horizon
from bursar.usage.revising.author import wait_until_applied
from bursar.usage.selection import Selection
from bursar.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from bursar.scheduling.job import RunContext
    from bursar.scheduling.run import Json
    from bursar.usage.change_log import ChangeLog
    from bursar.usage.retention.horizons import Horizons
    from bursar.usage.store import AsksQuestions

DOOR = "retention"
RECORD_VERSION = 1
APPLY_LOOK_SECONDS = 0.5
"""How long a run may not hear that it is to stop, while its record is being applied."""


class AgedData(Protocol):
    """What the usage store says about the age of a tenant's data."""

    def oldest(self, tenant_id: str, kind: Kind) -> datetime | None:
        """The moment of the oldest data of this kind; None where there is none."""
        ...

    def oldest_in(self, project: tuple[str, str], kind: Kind, since: datetime) -> datetime | None:
        """The same of events or sums of a tenant's project, but for what is from before `since`."""
        ...

    def quarantined_before(self, tenant_id: str, before: datetime) -> int:
        """How many quarantined records lie before a moment."""
        ...


@dataclass(frozen=True, slots=True)
class ExpiryGround:
    """What an expiry works with."""

    horizons: Horizons
    changes: ChangeLog
    questions: AsksQuestions
    aged: AgedData
    tenant_ids: Callable[[], Iterable[str]]
    removing: Callable[[], None]
    """Called before anything is removed."""
    now: Callable[[], datetime] = clock.now


@dataclass(frozen=True, slots=True)
class Due:
    """Data of a tenant, or of one project, that has passed its horizon."""

    tenant_id: str
    kind: Kind
    before: datetime
    project_id: str | None = None
    since: datetime = clock.EPOCH
    """Of a project: where the tenant's own horizon lies; what is from before is the tenant's to expire."""

    @property
    def named(self) -> tuple[str | None, ...]:
        """What tells it apart in a run."""
        return self.tenant_id, self.project_id, self.kind.value


def check_parameters(parameters: Mapping[str, Json]) -> tuple[Reason, ...]:
    """What is wrong with the parameters of an expiry: only `dry_run` is known."""
    reasons = refuse_unknown(parameters, {"dry_run"})
    if not isinstance(parameters.get("dry_run", False), bool):
        reasons += (Reason("parameters.dry_run", "wrong_type", "must be true or false"),)
    return reasons


def expire(ground: ExpiryGround, context: RunContext) -> dict[str, Json]:
    """Remove what has expired, of the run's tenant or of all; the result lists it by tenant, project, kind.

    Raises:
        RunStopped: the run is to stop; everything journaled so far counts.
        Unavailable, DiskFull: the journal takes nothing; everything journaled so far counts.
    """
    is_dry = context.parameters.get("dry_run") is True
    saved = _begin(context, ground)
    now = datetime.fromisoformat(saved["now"]).astimezone(UTC)
    # A server beside this one may have been told something else since, or that a project is no more.
    ground.horizons.refresh()
    # What came in a moment ago goes with the rest, so it is counted with it.
    wait_until_applied(ground.changes, ground.changes.durable_seq, context, "catching up")
    tenants = [context.tenant_id] if context.tenant_id else list(ground.tenant_ids())
    expired: list[dict[str, Json]] = list(saved.get("expired", []))
    for done, tenant_id in enumerate(tenants):
        context.progress("looking for what has expired", done, len(tenants))
        for due in due_of(ground, tenant_id, now):
            if due.named not in {(one["tenant_id"], one.get("project_id"), one["what"]) for one in expired}:
                expired.append(_described(ground, due))
            if not is_dry:
                # Before it is gone: a later attempt finds no more of it, and has to say what went.
                context.save({**saved, "expired": expired})
                _journal(ground, context, due)
    context.progress("done", len(tenants), len(tenants))
    return {"dry_run": is_dry, "expired": expired}


def due_of(ground: ExpiryGround, tenant_id: str, now: datetime) -> list[Due]:
    """What of the tenant's data has passed its horizon, kind by kind, events first; then of its projects'."""
    retention = ground.horizons.retention_of(tenant_id)
    due: list[Due] = []
    for kind in Kind:
        before = horizon(retention.days(kind), now)
        oldest = None if before is None else ground.aged.oldest(tenant_id, kind)
        if before is not None and oldest is not None and oldest < before:
            due.append(Due(tenant_id, kind, before))
    for project_id in ground.horizons.projects_of(tenant_id):
        due += _due_in(ground, (tenant_id, project_id), now)
    return due


def _due_in(ground: ExpiryGround, project: tuple[str, str], now: datetime) -> Iterator[Due]:
    """What of a project has passed its own horizon and not its tenant's."""
    tenant_id, project_id = project
    retention, own = ground.horizons.retention_of(tenant_id), ground.horizons.retention_of(*project)
    for kind in (Kind.EVENTS, Kind.ROLLUPS):
        before, since = horizon(own.days(kind), now), horizon(retention.days(kind), now) or clock.EPOCH
        if before is None or before <= since:
            continue
        oldest = ground.aged.oldest_in(project, kind, since)
        if oldest is not None and oldest < before:
            yield Due(tenant_id, kind, before, project_id, since)


def _begin(context: RunContext, ground: ExpiryGround) -> Mapping[str, Json]:
    """What the first attempt noted: its moment, so that all of the run has one horizon, and what expired."""
    if context.saved is not None:
        return context.saved
    saved = {"now": ground.now().isoformat()}
    context.save(saved)
    return saved


def _described(ground: ExpiryGround, due: Due) -> dict[str, Any]:
    found: dict[str, Any] = {
        "tenant_id": due.tenant_id,
        "what": due.kind.value,
        "before": clock.rfc3339(due.before),
    }
    if due.project_id is not None:
        found["project_id"] = due.project_id
    if due.kind is Kind.QUARANTINE:
        return found | {"records": ground.aged.quarantined_before(due.tenant_id, due.before)}
    if due.kind is Kind.EVENTS:
        in_project = () if due.project_id is None else (Filter("project_id", FilterOp.IN, (due.project_id,)),)
        selection = Selection(Window(due.since, due.before), in_project)
        totals = ground.questions.ask_now(lambda store: store.total_selection(due.tenant_id, selection))
        found |= {"events": totals.events, "unpriced": totals.unpriced}
        found["cost"] = [asdict(amount) for amount in totals.cost]
    return found


def _journal(ground: ExpiryGround, context: RunContext, due: Due) -> None:
    """Journal an expiry and wait until it is applied."""
    if due.kind is Kind.EVENTS:
        # Before the record: nothing older may come in behind it.
        ground.horizons.note_expired(due.tenant_id, due.before, due.project_id)
    ground.removing()
    record = ExpireRecord(
        v=RECORD_VERSION,
        kind=EXPIRE if due.project_id is None else PROJECT_EXPIRE,
        received=clock.to_micros(ground.now()),
        tenant_id=due.tenant_id,
        key_id=context.asked_by or "schedule",
        door=DOOR,
        reason=f"retention: {due.kind.value} from before {clock.rfc3339(due.before)}",
        run_id=context.run_id,
        what=due.kind.value,
        before=clock.to_micros(due.before),
        project_id=due.project_id,
    )
    seq = ground.changes.append([msgspec.json.encode(record)])
    whose = due.tenant_id if due.project_id is None else f"{due.tenant_id}/{due.project_id}"
    while True:
        context.progress(f"expiring {due.kind.value} of {whose}", 0)
        if ground.changes.wait_applied(seq, APPLY_LOOK_SECONDS):
            return
