"""What the store of exchange rates promises, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from bursar.errors import NotFound
from bursar.pricing.exchange.rates import RateEntry, Withdrawal
from bursar.pricing.exchange.store import Added, Author, RateAsk
from bursar.storage.relational.exchange_rates import RelationalExchangeRates
from bursar.storage.relational.identity import RelationalIdentityStore
from tests.support.identity import a_tenant

if TYPE_CHECKING:
    from sqlalchemy import Engine

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FRIDAY = date(2026, 11, 20)
YEAR = FRIDAY - timedelta(days=365), FRIDAY + timedelta(days=365)


@pytest.fixture
def store(state_engine: Engine) -> RelationalExchangeRates:
    identity = RelationalIdentityStore(state_engine)
    for name in ("acme", "other"):
        identity.add_tenant(a_tenant(name))
    return RelationalExchangeRates(state_engine)


def a_rate(rate: str = "1.0850", *, day: date = FRIDAY, base: str = "EUR", quote: str = "USD") -> RateEntry:
    return RateEntry(day, base, quote, Decimal(rate), "ECB")


def author(seconds: int = 0) -> Author:
    return Author("key_1", NOW + timedelta(seconds=seconds))


def in_force(store: RelationalExchangeRates, tenant: str = "acme") -> dict[tuple[str | None, date, str], str]:
    found = store.rates_between(tenant, {"USD", "GBP"}, *YEAR)
    return {(one.tenant_id, one.entry.day, one.entry.quote): str(one.entry.rate) for one in found}


def test_rates_come_back_to_the_last_digit(store: RelationalExchangeRates) -> None:
    assert store.add_rates("acme", [a_rate("0.10000000000000000001")], author()) == Added(1, 0)
    (kept,) = store.rates_between("acme", {"USD"}, FRIDAY, FRIDAY)
    assert kept.entry == a_rate("0.10000000000000000001")
    assert (kept.tenant_id, kept.recorded_at, kept.created_by) == ("acme", NOW, "key_1")


def test_the_same_again_changes_nothing(store: RelationalExchangeRates) -> None:
    store.add_rates("acme", [a_rate()], author())
    assert store.add_rates("acme", [a_rate("1.08500"), a_rate(quote="GBP")], author(1)) == Added(1, 1)
    assert len(store.list_rates(RateAsk("acme", has_withdrawn=True))) == 2


def test_a_later_entry_takes_the_place_of_an_earlier_one_and_both_stay(
    store: RelationalExchangeRates,
) -> None:
    store.add_rates("acme", [a_rate("1.08")], author())
    store.add_rates("acme", [a_rate("1.09")], author(1))
    assert in_force(store) == {("acme", FRIDAY, "USD"): "1.09"}
    assert [str(one.entry.rate) for one in store.list_rates(RateAsk("acme"))] == ["1.09"]
    assert len(store.list_rates(RateAsk("acme", has_withdrawn=True))) == 2


def test_a_withdrawn_rate_counts_no_longer_and_the_one_before_does_again(
    store: RelationalExchangeRates,
) -> None:
    store.add_rates("acme", [a_rate("1.08")], author())
    store.add_rates("acme", [a_rate("1.09")], author(1))
    (wrong,) = store.list_rates(RateAsk("acme"))
    gone = store.withdraw_rate("acme", wrong.id, Withdrawal(NOW, "key_2", "typo"))
    assert gone.withdrawn == Withdrawal(NOW, "key_2", "typo")
    again = store.withdraw_rate("acme", wrong.id, Withdrawal(NOW + timedelta(1), "key_3", "again"))
    assert again == gone
    assert in_force(store) == {("acme", FRIDAY, "USD"): "1.08"}


def test_everybody_sees_shared_rates_and_nobody_those_of_another(store: RelationalExchangeRates) -> None:
    store.add_rates(None, [a_rate("1.08")], author())
    store.add_rates("other", [a_rate("5")], author())
    assert in_force(store) == {(None, FRIDAY, "USD"): "1.08"}
    assert len(store.list_rates(RateAsk("acme", has_withdrawn=True))) == 1
    (shared,) = store.list_rates(RateAsk("acme"))
    (theirs,) = (one for one in store.list_rates(RateAsk("other")) if one.tenant_id == "other")
    for owner, rate_id in (("acme", shared.id), ("acme", theirs.id), (None, theirs.id), ("acme", "fx_none")):
        with pytest.raises(NotFound):
            store.withdraw_rate(owner, rate_id, Withdrawal(NOW, "key_1", "mine?"))
    # A tenant's rate doesn't replace everybody's.
    store.add_rates("acme", [a_rate("2")], author(1))
    assert in_force(store, "other") == {(None, FRIDAY, "USD"): "1.08", ("other", FRIDAY, "USD"): "5"}


def test_days_and_currencies_bound_what_is_read(store: RelationalExchangeRates) -> None:
    days = [FRIDAY - timedelta(days=age) for age in (0, 1, 2)]
    store.add_rates(
        "acme", [a_rate(day=day, quote=quote) for day in days for quote in ("USD", "JPY")], author()
    )
    found = store.rates_between("acme", {"USD"}, days[1], days[0])
    assert {(one.entry.day, one.entry.quote) for one in found} == {(days[0], "USD"), (days[1], "USD")}
    assert store.rates_between("acme", set(), *YEAR) == []
    listed = store.list_rates(RateAsk("acme", first=days[1], currencies=("JPY",)))
    assert [one.entry.day for one in listed] == [days[0], days[1]]


def test_pages_follow_each_other_without_gap_or_repeat(store: RelationalExchangeRates) -> None:
    days = [FRIDAY - timedelta(days=age) for age in range(5)]
    store.add_rates(
        "acme", [a_rate(day=day, quote=quote) for day in days for quote in ("USD", "GBP")], author()
    )
    seen: list[str] = []
    after: tuple[date, str] | None = None
    while page := store.list_rates(RateAsk("acme", after=after, limit=3)):
        seen += [one.id for one in page]
        after = page[-1].entry.day, page[-1].id
    assert len(seen) == len(set(seen)) == 10


def test_rates_of_a_tenant_that_is_not_there_are_refused(store: RelationalExchangeRates) -> None:
    with pytest.raises(NotFound):
        store.add_rates("nobody", [a_rate()], author())


def test_a_tenants_rates_go_with_it(store: RelationalExchangeRates, state_engine: Engine) -> None:
    store.add_rates("acme", [a_rate()], author())
    store.add_rates(None, [a_rate("1.1")], author())
    RelationalIdentityStore(state_engine).remove_tenant("acme")
    assert in_force(store) == {(None, FRIDAY, "USD"): "1.1"}
