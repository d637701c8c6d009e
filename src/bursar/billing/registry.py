"""Every tenant's services and billing rules: kept by a store, and in memory as doors and rating need them.

A change counts at once in this process; another one reads it at its next `refresh`. Nothing is ever
overwritten: services have versions, rules are withdrawn.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bursar.billing.built_in import BUILT_IN_SERVICES
from bursar.billing.registered import RecordedRule, ServiceVersion, declare, inline_rules
from bursar.errors import Conflict, Invalid, NotFound, Reason
from bursar.pricing.rules.rule import NO_RULES, RuleBook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from bursar.billing.registered import RegisteredService
    from bursar.pricing.rules.rule import BillingRule
    from bursar.usage.known_services import DeclaredService

SERVICES_LIMIT = 200
RULES_LIMIT = 2_000
"""Of one tenant, withdrawn ones aside: all of them are in memory, and a list shows them at once."""


class BillingStore(Protocol):
    """Keeps services and billing rules, each tenant's apart."""

    def stamp(self) -> object:
        """Something that is another after every change."""
        ...

    def versions(self, tenant_id: str | None = None) -> Sequence[ServiceVersion]:
        """Every version of every service, of one tenant or of all; each service's first one first."""
        ...

    def rules(self, tenant_id: str | None = None) -> Sequence[RecordedRule]:
        """Every rule, withdrawn ones included, of one tenant or of all; in the order of recording."""
        ...

    def add_version(self, version: ServiceVersion) -> None:
        """Keep a version.

        Raises:
            Conflict: somebody recorded one of the same number meanwhile.
            NotFound: there is no such tenant.
        """
        ...

    def add_rule(self, recorded: RecordedRule) -> None:
        """Keep a rule.

        Raises:
            NotFound: there is no such tenant.
        """
        ...

    def withdraw_rule(self, tenant_id: str, rule_id: str, now: datetime, by: str) -> None:
        """Note that a rule counts no more; the first withdrawal stays.

        Raises:
            NotFound: the tenant has no such rule.
        """
        ...


@dataclass(frozen=True, slots=True)
class Author:
    """Whose services are changed, by which key, and when."""

    tenant_id: str
    key_id: str
    now: datetime


class Registry:
    """Knows what is registered; safe to call from any thread."""

    def __init__(self, store: BillingStore, tell_rules: Callable[[str, RuleBook], None]) -> None:
        """Read what `store` keeps; `tell_rules` is told each tenant's rules whenever they change."""
        self._store = store
        self._tell_rules = tell_rules
        self._lock = threading.Lock()
        self._stamp: object = None
        self._declared: dict[str, Mapping[str, DeclaredService]] = {}
        self.refresh()

    def declared_of(self, tenant_id: str) -> Mapping[str, DeclaredService]:
        """The tenant's own services by type; see `usage/known_services.py`."""
        return self._declared.get(tenant_id, _NOTHING)

    def refresh(self) -> None:
        """Learn what was changed elsewhere.

        Raises:
            Unavailable: the store doesn't answer; what is known stays.
        """
        with self._lock:
            stamp = self._store.stamp()
            if stamp == self._stamp:
                return
            versions, rules = self._store.versions(), self._store.rules()
            tenants = {one.tenant_id for one in (*versions, *rules)}
            for tenant_id in self._declared.keys() - tenants:
                self._forget(tenant_id)
            for tenant_id, (own_versions, own_rules) in _by_tenant(versions, rules).items():
                self._learn(tenant_id, own_versions, own_rules)
            self._stamp = stamp

    def forget(self, tenant_id: str) -> None:
        """Know nothing of a tenant that is no more: another one of its id begins anew."""
        with self._lock:
            self._forget(tenant_id)

    def versions_of(self, tenant_id: str, service_type: str) -> list[ServiceVersion]:
        """Every version of a tenant's own service, the first one first.

        Raises:
            NotFound: it never registered such a service.
        """
        found = [one for one in self._store.versions(tenant_id) if one.service_type == service_type]
        if not found:
            raise _no_service(service_type)
        return found

    def services_of(self, tenant_id: str) -> list[ServiceVersion]:
        """The latest version of each of the tenant's own services that isn't retired, by type."""
        latest = {one.service_type: one for one in self._store.versions(tenant_id)}
        return [latest[name] for name in sorted(latest) if latest[name].registered is not None]

    def register(self, service: RegisteredService, author: Author) -> ServiceVersion:
        """Register a service, or one that was retired again.

        Raises:
            Conflict: there is one of this type.
        """
        _refuse_built_in(service.service_type)
        latest = self._latest(author.tenant_id, service.service_type)
        if latest is not None and latest.registered is not None:
            message = f"There is a service '{service.service_type}' already; PUT makes a new version of it."
            raise Conflict(message, reasons=(Reason("service_type", "service_exists", message),))
        if len(self.services_of(author.tenant_id)) >= SERVICES_LIMIT:
            message = f"A tenant has at most {SERVICES_LIMIT} services; retire one first."
            raise Conflict(message, reasons=(Reason("service_type", "too_many_services", message),))
        return self._add_version(service.service_type, service, latest, author)

    def change(self, service: RegisteredService, author: Author) -> ServiceVersion:
        """Make a new version of a registered service.

        Raises:
            NotFound: it isn't registered.
        """
        _refuse_built_in(service.service_type)
        latest = self._standing(author.tenant_id, service.service_type)
        return self._add_version(service.service_type, service, latest, author)

    def retire(self, service_type: str, author: Author) -> ServiceVersion:
        """Retire a service: its events are taken as those of any type that isn't registered.

        Raises:
            NotFound: it isn't registered.
        """
        _refuse_built_in(service_type)
        latest = self._standing(author.tenant_id, service_type)
        return self._add_version(service_type, None, latest, author)

    def rules_of(self, tenant_id: str) -> Sequence[RecordedRule]:
        """All billing rules that the tenant recorded by themselves, withdrawn ones included."""
        return self._store.rules(tenant_id)

    def rule(self, tenant_id: str, rule_id: str) -> RecordedRule:
        """One of them.

        Raises:
            NotFound: the tenant has no such rule.
        """
        for recorded in self._store.rules(tenant_id):
            if recorded.rule.id == rule_id:
                return recorded
        message = f"There is no billing rule '{rule_id}'."
        raise NotFound(message)

    def add_rule(self, rule: BillingRule, author: Author) -> RecordedRule:
        """Record a billing rule; it counts at once.

        Raises:
            Invalid: for a service that isn't known.
            Conflict: the tenant has too many.
        """
        self.refuse_unknown(author.tenant_id, rule.service_type)
        standing = [one for one in self._store.rules(author.tenant_id) if one.withdrawn_at is None]
        if len(standing) >= RULES_LIMIT:
            message = f"A tenant has at most {RULES_LIMIT} billing rules; withdraw some first."
            raise Conflict(message, reasons=(Reason("$", "too_many_rules", message),))
        recorded = RecordedRule(tenant_id=author.tenant_id, rule=rule)
        self._store.add_rule(recorded)
        self._read_again(author.tenant_id)
        return recorded

    def refuse_unknown(self, tenant_id: str, service_type: str) -> None:
        """Let only a service type pass that is built in or registered.

        Raises:
            Invalid: it is neither.
        """
        if service_type not in BUILT_IN_SERVICES and service_type not in self.declared_of(tenant_id):
            message = f"There is no service '{service_type}'; register it first at /api/v1/services."
            raise Invalid(message, reasons=(Reason("service_type", "unknown_service", message),))

    def withdraw_rule(self, rule_id: str, author: Author) -> RecordedRule:
        """Let a rule count no more; withdrawing it again changes nothing.

        Raises:
            NotFound: the tenant has no such rule.
        """
        self._store.withdraw_rule(author.tenant_id, rule_id, author.now, author.key_id)
        self._read_again(author.tenant_id)
        return self.rule(author.tenant_id, rule_id)

    def _add_version(
        self,
        service_type: str,
        service: RegisteredService | None,
        latest: ServiceVersion | None,
        author: Author,
    ) -> ServiceVersion:
        version = ServiceVersion(
            tenant_id=author.tenant_id,
            service_type=service_type,
            version=1 if latest is None else latest.version + 1,
            registered=service,
            # Never before the version that it replaces, whatever another machine's clock says.
            recorded_at=author.now if latest is None else max(author.now, latest.recorded_at),
            recorded_by=author.key_id,
        )
        self._store.add_version(version)
        self._read_again(author.tenant_id)
        return version

    def _latest(self, tenant_id: str, service_type: str) -> ServiceVersion | None:
        found = [one for one in self._store.versions(tenant_id) if one.service_type == service_type]
        return found[-1] if found else None

    def _standing(self, tenant_id: str, service_type: str) -> ServiceVersion:
        latest = self._latest(tenant_id, service_type)
        if latest is None or latest.registered is None:
            raise _no_service(service_type)
        return latest

    def _read_again(self, tenant_id: str) -> None:
        with self._lock:
            self._learn(tenant_id, self._store.versions(tenant_id), self._store.rules(tenant_id))

    def _learn(
        self, tenant_id: str, versions: Sequence[ServiceVersion], recorded: Sequence[RecordedRule]
    ) -> None:
        by_type: dict[str, list[ServiceVersion]] = defaultdict(list)
        for version in versions:
            by_type[version.service_type].append(version)
        rules = [one.rule for one in recorded if one.withdrawn_at is None]
        rules += [rule for own in by_type.values() for rule in inline_rules(own)]
        declared = {
            name: one
            for name, own in by_type.items()
            if (one := declare(own[-1], [rule for rule in rules if rule.service_type == name])) is not None
        }
        self._tell_rules(tenant_id, RuleBook.of(rules))
        self._declared[tenant_id] = declared

    def _forget(self, tenant_id: str) -> None:
        if self._declared.pop(tenant_id, None) is not None:
            self._tell_rules(tenant_id, NO_RULES)


_NOTHING: Mapping[str, DeclaredService] = {}


def _by_tenant(
    versions: Iterable[ServiceVersion], rules: Iterable[RecordedRule]
) -> Mapping[str, tuple[list[ServiceVersion], list[RecordedRule]]]:
    found: dict[str, tuple[list[ServiceVersion], list[RecordedRule]]] = defaultdict(lambda: ([], []))
    for version in versions:
        found[version.tenant_id][0].append(version)
    for rule in rules:
        found[rule.tenant_id][1].append(rule)
    return found


def _refuse_built_in(service_type: str) -> None:
    if service_type in BUILT_IN_SERVICES:
        message = (
            f"'{service_type}' is built in and can't be changed; bill it by rules of your own at"
            " /api/v1/billing-rules."
        )
        raise Conflict(message, reasons=(Reason("service_type", "built_in_service", message),))


def _no_service(service_type: str) -> NotFound:
    return NotFound(f"There is no service '{service_type[:128]}'.")
