"""What types can't say about an event: its tenant, its time, and the size of its JSON parts.

Pure decisions over values and the moment of receipt. Type and length limits are in `event.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from bursar import clock
from bursar.errors import Reason
from bursar.usage.event import JSON_BYTES_LIMIT, JSON_DEPTH_LIMIT
from bursar.usage.json_shape import is_list, is_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from bursar.identity.caller import Caller
    from bursar.usage.event import UsageEvent

_NO_REASONS: tuple[Reason, ...] = ()
_NO_PROJECTS: frozenset[str] = frozenset()
_MICROSECOND = timedelta(microseconds=1)
_DAY_MICROS = 86_400 * 1_000_000


class KeptSince(Protocol):
    """From when on events are kept: older ones are refused at every door (`retention/horizons.py`)."""

    def horizon_of(self, tenant_id: str, now: datetime, project_id: str | None = None) -> datetime | None:
        """The moment before which events of the tenant, or of a project, are refused; None: there is none."""
        ...

    def latest_of(self, tenant_id: str, now: datetime) -> datetime | None:
        """The latest of the tenant's horizons: behind it nothing is refused, whatever project it is of."""
        ...


class KeptForever:
    """Where nothing expires."""

    def horizon_of(self, tenant_id: str, now: datetime, project_id: str | None = None) -> None:
        """There is none."""

    def latest_of(self, tenant_id: str, now: datetime) -> None:
        """There is none."""


@dataclass(frozen=True, slots=True)
class TimeRules:
    """Which event times a door takes, relative to the moment of receipt."""

    max_past: timedelta | None
    """None takes any time since 1970: imports and compatibility doors rate at it."""
    max_future: timedelta
    kept: KeptSince = field(default_factory=KeptForever)
    past_micros: int | None = field(init=False)
    future_micros: int = field(init=False)

    def __post_init__(self) -> None:
        """Work out what every request asks for."""
        past = None if self.max_past is None else self.max_past // _MICROSECOND
        object.__setattr__(self, "past_micros", past)
        object.__setattr__(self, "future_micros", self.max_future // _MICROSECOND)


# Made for every request: frozen would set each field at ten times the cost.
@dataclass(slots=True)
class Receipt:
    """Who sent a body through which door, and when it arrived."""

    caller: Caller
    door: str
    now: datetime
    received: int
    """`now` in microseconds since 1970, as are the next three."""
    oldest: int
    """For events of the caller's own tenant: the door's rule, or where its retention or a project's ends.

    What lies before needs a closer look: it may be of another project."""
    door_oldest: int
    newest: int
    knows_tenant: Callable[[str], bool]
    kept: KeptSince
    projects: frozenset[str] | None = None
    """Those that events may be of, where the caller may ingest in some of its tenant's only."""
    suspended_in: Callable[[str], frozenset[str]] = lambda _tenant_id: _NO_PROJECTS
    """A tenant's projects that take no usage. Corrections, and what Bursar itself books, are of all."""

    @classmethod
    def of(
        cls, caller: Caller, door: str, now: datetime, rules: TimeRules, knows_tenant: Callable[[str], bool]
    ) -> Receipt:
        """A receipt with the door's time rules worked out for this moment."""
        received = clock.to_micros(now)
        past = rules.past_micros
        door_oldest = 0 if past is None or past > received else received - past
        horizon = rules.kept.latest_of(caller.tenant_id, now)
        oldest = door_oldest if horizon is None else max(door_oldest, clock.to_micros(horizon))
        newest = received + rules.future_micros
        return cls(caller, door, now, received, oldest, door_oldest, newest, knows_tenant, rules.kept)


def check_event(
    named: str | None, micros: int, receipt: Receipt, project_id: str | None = None
) -> tuple[Reason, ...]:
    """Every reason why an event can't be taken from this caller now; empty where it can.

    Args:
        named: the tenant that the event names, if it does.
        micros: when it happened, microseconds since 1970; the moment of receipt where it doesn't say.
        receipt: who sent it, when and by which door.
        project_id: the project that it is of, if it is of one.
    """
    right_tenant = named is None or named == receipt.caller.tenant_id
    in_time = receipt.oldest <= micros <= receipt.newest
    if right_tenant and in_time:
        return _NO_REASONS
    reasons: list[Reason] = []
    if named is not None and not right_tenant:
        reasons += _tenant_reasons(named, receipt)
    tenant_id = receipt.caller.tenant_id if named is None else named
    horizon = receipt.kept.horizon_of(tenant_id, receipt.now, project_id)
    if horizon is not None and micros < clock.to_micros(horizon) and not reasons:
        is_the_tenants = horizon == receipt.kept.horizon_of(tenant_id, receipt.now)
        reasons.append(_beyond(horizon, "tenant" if is_the_tenants else "project"))
    elif not receipt.door_oldest <= micros <= receipt.newest:
        reasons.append(_time_reason(micros, receipt))
    return tuple(reasons)


def _beyond(horizon: datetime, whose: str) -> Reason:
    text = (
        f"Events of this {whose} from before {clock.rfc3339(horizon)} have expired and aren't taken any more."
    )
    return Reason("time", "beyond_retention", text)


def check_json_parts(event: UsageEvent, encoded: bytes) -> tuple[Reason, ...]:
    """Reasons against `metadata` and `usage` that are too large or too deep."""
    metadata, usage = event.metadata, event.usage
    if len(encoded) <= JSON_BYTES_LIMIT and (
        metadata is usage is None or (_is_flat(metadata) and _is_flat(usage))
    ):
        return _NO_REASONS
    reasons: list[Reason] = []
    for name in ("metadata", "usage"):
        part = getattr(event, name)
        if part is None:
            continue
        if _depth(part) > JSON_DEPTH_LIMIT:
            text = f"{name} is nested deeper than {JSON_DEPTH_LIMIT} levels."
            reasons.append(Reason(name, "too_deep", text))
        elif len(msgspec.json.encode(part)) > JSON_BYTES_LIMIT:
            text = f"{name} takes more than {JSON_BYTES_LIMIT} bytes of JSON."
            reasons.append(Reason(name, "too_large", text))
    return tuple(reasons)


def _is_flat(part: dict[str, Any] | None) -> bool:
    """Whether nothing is nested at all, as in nearly every event."""
    if part is not None:
        for value in part.values():
            if isinstance(value, (dict, list)):
                return False
    return True


def _tenant_reasons(named: str, receipt: Receipt) -> list[Reason]:
    if not receipt.caller.is_operator:
        return [Reason("tenant_id", "tenant_mismatch", "tenant_id must be the credential's own tenant.")]
    if receipt.knows_tenant(named):
        return []
    return [Reason("tenant_id", "unknown_tenant", "There is no active tenant with this id.")]


def _time_reason(micros: int, receipt: Receipt) -> Reason:
    if micros > receipt.newest:
        seconds = round((receipt.newest - receipt.received) / 1_000_000)
        return Reason(
            "time", "in_the_future", f"time may lie at most {seconds} s ahead of the server's clock."
        )
    if receipt.door_oldest == 0:
        return Reason("time", "too_old", "time can't lie before 1970.")
    days = (receipt.received - receipt.door_oldest) // _DAY_MICROS
    text = f"time may lie at most {days} days back here; send older events to POST /api/v1/events/import."
    return Reason("time", "too_old", text)


def _depth(value: Any) -> int:  # noqa: ANN401 - any JSON value
    """Levels of nesting, without recursion so that no input can exhaust the stack."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        part, level = waiting.pop()
        children: Iterable[Any] = part.values() if is_object(part) else part if is_list(part) else ()
        deepest = max(deepest, level if isinstance(part, (dict, list)) else 0)
        if deepest > JSON_DEPTH_LIMIT:
            return deepest
        waiting.extend((child, level + 1) for child in children)
    return deepest
