"""What the store of services and billing rules promises, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from bursar.billing.charge_reading import Billing
from bursar.billing.registered import RecordedRule, RegisteredService, ServiceVersion
from bursar.billing.registry import Author, Registry
from bursar.errors import Conflict, Invalid, NotFound
from bursar.identity.tenant import Tenant
from bursar.pricing.rules.multiply import Multiply
from bursar.pricing.rules.rule import BillingRule, RuleBook
from bursar.pricing.rules.selection import Rates
from bursar.storage.relational.billing import RelationalBilling
from bursar.storage.relational.identity import RelationalIdentityStore

if TYPE_CHECKING:
    from sqlalchemy import Engine

NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
SERVICE = RegisteredService(
    service_type="ocr",
    service_name="Öcr \\u0000 ¢",
    providers=("a", "b"),
    required_fields=("pages",),
    validation_schema='{"properties":{"pages":{"maximum":0.1234567890123456789}}}',
    billing=Billing(
        currency="EUR",
        charge=Multiply(unit="pages", rates=Rates({"standard": Decimal("0.000000000000000001")})),
        minimum_charge=Decimal("0.25"),
        valid_from=NOW,
    ),
)


@pytest.fixture
def store(state_engine: Engine) -> RelationalBilling:
    tenants = RelationalIdentityStore(state_engine)
    for tenant_id in ("acme", "rival"):
        tenants.add_tenant(Tenant(tenant_id, tenant_id, "UTC", NOW))
    return RelationalBilling(state_engine)


def version(
    number: int, tenant_id: str = "acme", service: RegisteredService | None = SERVICE
) -> ServiceVersion:
    return ServiceVersion(
        tenant_id=tenant_id,
        service_type="ocr",
        version=number,
        registered=service,
        recorded_at=NOW + timedelta(days=number),
        recorded_by="key_1",
    )


def rule(rule_id: str, rate: str = "0.1") -> BillingRule:
    return BillingRule(
        id=rule_id,
        service_type="ocr",
        provider="a",
        currency="USD",
        charge=Multiply(unit="pages", rates=Rates({"standard": Decimal(rate)})),
        valid_from=NOW,
        recorded_at=NOW,
        recorded_by="key_1",
    )


def test_what_is_kept_comes_back_to_the_last_digit(store: RelationalBilling) -> None:
    store.add_version(version(1))
    store.add_version(version(2, service=None))
    recorded = RecordedRule(tenant_id="acme", rule=rule("rul_1", "0.123456789012345678"))
    store.add_rule(recorded)
    assert store.versions("acme") == [version(1), version(2, service=None)]
    assert store.rules("acme") == [recorded]


def test_each_tenants_are_its_own(store: RelationalBilling) -> None:
    store.add_version(version(1))
    store.add_version(version(1, "rival"))
    store.add_rule(RecordedRule(tenant_id="acme", rule=rule("rul_1")))
    store.add_rule(RecordedRule(tenant_id="rival", rule=rule("rul_1", "9")))
    assert [one.tenant_id for one in store.versions("rival")] == ["rival"]
    assert [one.rule for one in store.rules("rival")] == [rule("rul_1", "9")]
    assert len(store.versions()) == len(store.rules()) == 2
    store.withdraw_rule("acme", "rul_1", NOW, "key_2")
    assert store.rules("rival")[0].withdrawn_at is None
    with pytest.raises(NotFound):
        store.withdraw_rule("rival", "rul_2", NOW, "key_2")


def test_a_version_is_recorded_once(store: RelationalBilling) -> None:
    store.add_version(version(1))
    with pytest.raises(Conflict, match="changed by somebody else"):
        store.add_version(version(1, service=None))
    assert store.versions("acme") == [version(1)]
    with pytest.raises(NotFound):
        store.add_version(version(1, "nobody"))
    with pytest.raises(NotFound):
        store.add_rule(RecordedRule(tenant_id="nobody", rule=rule("rul_1")))


def test_the_first_withdrawal_stays(store: RelationalBilling) -> None:
    store.add_rule(RecordedRule(tenant_id="acme", rule=rule("rul_1")))
    store.withdraw_rule("acme", "rul_1", NOW, "key_2")
    store.withdraw_rule("acme", "rul_1", NOW + timedelta(days=1), "key_3")
    (found,) = store.rules("acme")
    assert (found.withdrawn_at, found.withdrawn_by) == (NOW, "key_2")


def test_the_stamp_is_another_after_every_change(store: RelationalBilling) -> None:
    stamps = [store.stamp()]
    store.add_version(version(1))
    stamps.append(store.stamp())
    store.add_rule(RecordedRule(tenant_id="acme", rule=rule("rul_1")))
    stamps.append(store.stamp())
    store.withdraw_rule("acme", "rul_1", NOW, "key_2")
    stamps.append(store.stamp())
    assert len(set(stamps)) == len(stamps)
    assert store.stamp() == stamps[-1]


def test_services_and_rules_go_with_their_tenant(store: RelationalBilling, state_engine: Engine) -> None:
    store.add_version(version(1))
    store.add_rule(RecordedRule(tenant_id="acme", rule=rule("rul_1")))
    store.add_rule(RecordedRule(tenant_id="rival", rule=rule("rul_1")))
    RelationalIdentityStore(state_engine).remove_tenant("acme")
    assert (store.versions(), len(store.rules())) == ([], 1)


class Told:
    """What a registry tells about rules."""

    def __init__(self) -> None:
        self.books: dict[str, RuleBook] = {}

    def __call__(self, tenant_id: str, rules: RuleBook) -> None:
        self.books[tenant_id] = rules


def test_another_process_learns_of_a_change_at_its_next_refresh(store: RelationalBilling) -> None:
    here, there = Told(), Told()
    registry, other = Registry(store, here), Registry(store, there)
    author = Author("acme", "key_1", NOW)
    registry.register(SERVICE, author)
    recorded = registry.add_rule(rule("rul_1"), author)
    assert (here.books["acme"].find("ocr", "a", None, NOW), there.books) == (recorded.rule, {})
    other.refresh()
    assert there.books["acme"].find("ocr", "a", None, NOW) == recorded.rule
    assert other.declared_of("acme")["ocr"].providers == ("a", "b")
    registry.withdraw_rule("rul_1", author)
    registry.retire("ocr", author)
    other.refresh()
    assert there.books["acme"].find("ocr", "a", None, NOW) is None
    assert not other.declared_of("acme")
    assert not other.declared_of("rival")


def test_a_later_versions_billing_counts_from_when_it_was_recorded(store: RelationalBilling) -> None:
    told = Told()
    registry = Registry(store, told)

    def service(rate: str, begins: datetime | None = None) -> RegisteredService:
        charge = Multiply(unit="pages", rates=Rates({"standard": Decimal(rate)}))
        billing = Billing(currency="USD", charge=charge, valid_from=begins)
        return RegisteredService(service_type="ocr", service_name="ocr", billing=billing)

    def rate_at(days: float) -> str | None:
        found = told.books["acme"].find("ocr", None, None, NOW + timedelta(days=days))
        if found is None:
            return None
        assert isinstance(found.charge, Multiply)
        return str(found.charge.rates.only)

    registry.register(service("1"), Author("acme", "key_1", NOW))
    registry.change(service("2"), Author("acme", "key_1", NOW + timedelta(days=1)))
    registry.change(service("3", NOW + timedelta(days=9)), Author("acme", "key_1", NOW + timedelta(days=2)))
    assert [rate_at(days) for days in (-400, 0.5, 1, 8, 9, 400)] == ["1", "1", "2", "2", "3", "3"]
    registry.retire("ocr", Author("acme", "key_1", NOW + timedelta(days=12)))
    assert [rate_at(days) for days in (-400, 8, 11, 12, 400)] == ["1", "2", "3", None, None]
    registry.register(service("4"), Author("acme", "key_1", NOW + timedelta(days=20)))
    assert [rate_at(days) for days in (11, 13, 20)] == ["3", None, "4"]


def test_a_rule_for_a_service_that_is_not_known_is_refused(store: RelationalBilling) -> None:
    registry = Registry(store, Told())
    with pytest.raises(Invalid, match="register it first"):
        registry.add_rule(rule("rul_1"), Author("acme", "key_1", NOW))
    assert not store.rules("acme")
