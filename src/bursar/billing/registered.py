"""A registered service and its versions: values, and what follows from them for events and for billing.

A version never changes; changing a service makes another one, retiring it makes one that says so. What
`registry.py` keeps in memory is made here.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from bursar.billing.charge_reading import Billing
from bursar.billing.schema import compile_schema, declared_fields
from bursar.pricing.rules.charge import counted_names
from bursar.pricing.rules.rule import BillingRule
from bursar.usage.known_services import DeclaredService

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class RegisteredService(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a tenant said about a service."""

    service_type: str
    service_name: str
    description: str = ""
    providers: tuple[str, ...] = ()
    required_fields: tuple[str, ...] = ()
    optional_fields: tuple[str, ...] = ()
    validation_schema: str | None = None
    """JSON, as it was sent."""
    billing: Billing | None = None


class ServiceVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a service: what it was then, who said so, and when."""

    tenant_id: str
    service_type: str
    version: int
    """From 1."""
    registered: RegisteredService | None
    """None where the service was retired."""
    recorded_at: datetime
    recorded_by: str


class RecordedRule(msgspec.Struct, frozen=True, kw_only=True):
    """A billing rule of a tenant, and whether it still counts."""

    tenant_id: str
    rule: BillingRule
    withdrawn_at: datetime | None = None
    withdrawn_by: str | None = None


def inline_rules(versions: Sequence[ServiceVersion]) -> list[BillingRule]:
    """The rules in the registrations of one service, each until the next version takes its place.

    The first version's billing holds for all times before; a later one's from when it was recorded, or
    from the moment that it names.

    Args:
        versions: all of them, the first one first.
    """
    rules: list[BillingRule] = []
    ends: datetime | None = None
    for index, version in reversed(list(enumerate(versions))):
        billing = version.registered.billing if version.registered else None
        begins = billing.valid_from if billing else None
        if begins is None and index:
            begins = version.recorded_at
        if billing is not None:
            rules.append(_inline_rule(version, billing, begins, _earlier(billing.valid_to, ends)))
        ends = _earlier(begins, ends)
    return rules


def _inline_rule(
    version: ServiceVersion, billing: Billing, begins: datetime | None, ends: datetime | None
) -> BillingRule:
    return BillingRule(
        id=f"{version.service_type}@{version.version}",
        service_type=version.service_type,
        currency=billing.currency,
        charge=billing.charge,
        minimum_charge=billing.minimum_charge,
        valid_from=begins,
        valid_to=ends,
        recorded_at=version.recorded_at,
        recorded_by=version.recorded_by,
        is_inline=True,
    )


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    moments = [moment for moment in (one, other) if moment is not None]
    return min(moments, default=None)


def declare(version: ServiceVersion, rules: Iterable[BillingRule]) -> DeclaredService | None:
    """What the doors have to know of a service; None where it is retired.

    Args:
        version: the latest one.
        rules: all rules of the tenant that bill it.
    """
    service = version.registered
    if service is None:
        return None
    schema = service.validation_schema
    fields = {*service.required_fields, *service.optional_fields}
    billed = frozenset[str]().union(*(counted_names(rule.charge) for rule in rules))
    return DeclaredService(
        service_type=service.service_type,
        version=version.version,
        providers=service.providers,
        required=service.required_fields,
        declared=billed.union(fields, declared_fields(schema) if schema else ()),
        billed=billed,
        find_faults=compile_schema(schema) if schema else None,
    )
