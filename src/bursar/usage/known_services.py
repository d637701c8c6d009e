"""What is known of a service that a tenant registered, and whether an event of it is as was agreed.

`billing/` keeps the registrations and hands them in as `DeclaredService`; the doors ask here. Events of
other service types are nobody's business here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from bursar import clock
from bursar.errors import Invalid, Reason
from bursar.pricing.rules.rule import DEFAULT_SERVICE_TYPE
from bursar.units import UNITS, to_steps
from bursar.usage.event import UsageEvent
from bursar.usage.field_names import canonical_name
from bursar.usage.measure import Measured, measure_usage

if TYPE_CHECKING:
    from bursar.identity.caller import Caller

Fields = Mapping[str, Any]
"""A service's own fields, wherever in the event they stood."""
SHOWN_NAMES = 10
_UNIT_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Fault:
    """What a JSON Schema finds wrong."""

    place: str
    """Dotted path of the field, `$` for all of them."""
    keyword: str
    """The schema's word for the rule: `minimum`, `pattern`, …"""
    message: str


@dataclass(frozen=True, slots=True)
class DeclaredService:
    """A registered service, as far as its events are concerned."""

    service_type: str
    version: int
    providers: tuple[str, ...] = ()
    """Those that its events may name, in any case of letters; any where there are none."""
    required: tuple[str, ...] = ()
    declared: frozenset[str] = frozenset()
    """Its own fields, required ones among them: events may have them at the top level."""
    billed: frozenset[str] = frozenset()
    """Those that its billing counts."""
    find_faults: Callable[[Fields], Iterable[Fault]] | None = None
    """By its JSON Schema, if it has one."""


FindService = Callable[[str | None, str | None], DeclaredService | None]
"""The service of a type in the tenant that an event names, or the caller's own; None: not registered."""


class Services(Protocol):
    """Where the doors learn what is registered."""

    def declared_of(self, tenant_id: str) -> Mapping[str, DeclaredService]:
        """The tenant's own services by type, now; cheap."""
        ...


class NoServices:
    """Where nothing is registered."""

    def declared_of(self, tenant_id: str) -> Mapping[str, DeclaredService]:
        """None."""
        del tenant_id
        return _NOTHING


_NOTHING: Mapping[str, DeclaredService] = MappingProxyType({})


def finder_for(services: Services, caller: Caller) -> FindService:
    """What finds the services of an event that this caller sends."""

    def find(tenant_id: str | None, service_type: str | None) -> DeclaredService | None:
        # Only an operator's event is anybody else's than the caller's own tenant.
        named = tenant_id if tenant_id is not None and caller.is_operator else caller.tenant_id
        return services.declared_of(named).get(service_type or DEFAULT_SERVICE_TYPE)

    return find


def finder_of(services: Services, tenant_id: str) -> FindService:
    """What finds the services of this tenant alone, whatever tenant an event names."""
    return lambda _named, service_type: services.declared_of(tenant_id).get(
        service_type or DEFAULT_SERVICE_TYPE
    )


def measure_of_service(event: UsageEvent, declared: DeclaredService) -> Measured:
    """The units of an event of a registered service.

    Raises:
        Invalid: it isn't as its service says, or its quantities can't be.
    """
    if reasons := check_service(event, declared):
        raise Invalid("The event was refused.", reasons=reasons)
    measured = measure_usage(event)
    count_metadata(event, measured, declared)
    return measured


def check_service(event: UsageEvent, declared: DeclaredService) -> tuple[Reason, ...]:
    """Every reason why an event isn't as its service says; each names the field and the rule."""
    reasons = [*_provider_reasons(event, declared)]
    fields = own_fields(event, declared)
    named = f"{declared.service_type} (version {declared.version})"
    reasons += [
        Reason(name, "required_field", f"{named} requires the field '{name}'.")
        for name in declared.required
        if fields.get(name) is None and _canonical(event, name) is None
    ]
    if declared.find_faults is not None:
        missing = {reason.field for reason in reasons}
        reasons += [
            Reason(fault.place, f"schema_{_snake(fault.keyword)}", f"{fault.message} ({named}).")
            for fault in declared.find_faults(fields)
            if not (fault.keyword == "required" and fault.place in missing)
        ]
    return tuple(reasons)


def is_counted(value: object, name: str, service: DeclaredService) -> TypeGuard[int | Decimal]:
    """Whether a declared field's value is a quantity: what is billed must be one, other numbers may be."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)) or not _UNIT_NAME.fullmatch(name):
        return False
    if name in service.billed:
        return True
    try:
        to_steps(name, value)
    except ValueError:
        return False
    return True


def count_metadata(event: UsageEvent, measured: Measured, service: DeclaredService) -> None:
    """Count what the service bills and the event says in its metadata only.

    Raises:
        Invalid: it is a number that no quantity can be.
    """
    for name in sorted(service.billed & (event.metadata or {}).keys()):
        value = (event.metadata or {})[name]
        if name in measured.units or name in (event.units or {}) or isinstance(value, bool):
            continue
        if isinstance(value, float):
            value = Decimal(repr(value))
        if not isinstance(value, (int, Decimal)):
            continue
        try:
            steps = to_steps(name, value)
        except ValueError as error:
            reason = Reason(f"metadata.{name}", "out_of_range", f"{name} {error}.")
            raise Invalid("The event was refused.", reasons=(reason,)) from error
        if name in UNITS:
            measured.units = {**measured.units, name: steps}
        else:
            measured.custom = {**(measured.custom or {}), name: steps}
        measured.source = measured.source or "units"


def own_fields(event: UsageEvent, declared: DeclaredService) -> dict[str, Any]:
    """Metadata and units in one object, with those of the event's own fields that the service declares."""
    fields: dict[str, Any] = {**(event.metadata or {}), **(event.units or {})}
    for name in declared.declared:
        if name not in fields and (value := _canonical(event, name)) is not None:
            fields[name] = value
    return fields


def _provider_reasons(event: UsageEvent, declared: DeclaredService) -> Iterator[Reason]:
    if not declared.providers:
        return
    known = ", ".join(declared.providers[:SHOWN_NAMES])
    if event.provider is None:
        text = f"{declared.service_type} requires a provider: one of {known}."
        yield Reason("provider", "required_field", text)
    elif event.provider.casefold() not in {one.casefold() for one in declared.providers}:
        text = f"'{event.provider}' is no provider of {declared.service_type}; it has {known}."
        yield Reason("provider", "unknown_provider", text)


def _canonical(event: UsageEvent, name: str) -> Any:  # noqa: ANN401 - any JSON value
    """What the event says under its own name for this one."""
    own = canonical_name(name)
    units = event.units or {}
    if own in units:
        return units[own]
    value = getattr(event, own, None) if own in UsageEvent.__struct_fields__ else None
    return clock.rfc3339(value) if own == "time" and value is not None else value


def _snake(keyword: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in keyword)
