"""What the stores of closed months and of seats promise, on SQLite and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from bursar.billing.months.bill import LineKey, Sums
from bursar.billing.months.closing import write_figures
from bursar.billing.months.month import Month
from bursar.errors import Conflict, NotFound
from bursar.identity.page import PageAsk
from bursar.identity.tenant import Tenant
from bursar.storage.relational.closings import RelationalClosings
from bursar.storage.relational.identity import RelationalIdentityStore
from bursar.storage.relational.seats import RelationalSeats
from tests.billing.test_month_values import a_plan

if TYPE_CHECKING:
    from sqlalchemy import Engine

NOW = datetime(2026, 11, 6, 3, 20, tzinfo=UTC)
LINES = {LineKey("llm_service", "openai", None, "", "USD", "priced"): Sums(3, 10**24 + 1)}


@pytest.fixture
def engine(state_engine: Engine) -> Engine:
    tenants = RelationalIdentityStore(state_engine)
    for tenant_id in ("acme", "other"):
        tenants.add_tenant(Tenant(tenant_id, tenant_id, "UTC", NOW))
    return state_engine


def test_a_closing_comes_back_as_it_was_and_is_never_changed(engine: Engine) -> None:
    store = RelationalClosings(engine, "journal")
    month, text = Month(2026, 10), write_figures(Month(2026, 10), LINES, {})
    assert store.close("acme", month, NOW, ("key_1", "because"), text)
    assert not store.close("acme", month, NOW, (None, None), write_figures(month, {}, {}))
    (closing,) = store.closings("acme")
    assert (closing.month, closing.lines, closing.closed_at) == (month, LINES, NOW)
    assert (closing.closed_by, closing.reason) == ("key_1", "because")
    assert store.closings("other") == ()
    with pytest.raises(NotFound):
        store.close("nobody", month, NOW, (None, None), text)


def test_closings_are_those_of_one_journal_and_what_it_continues(engine: Engine) -> None:
    text = write_figures(Month(2026, 10), {}, {})
    RelationalClosings(engine, "old").close("acme", Month(2026, 10), NOW, (None, None), text)
    assert len(RelationalClosings(engine, "new", ["old"]).closings("acme")) == 1
    assert RelationalClosings(engine, "foreign").closings("acme") == ()
    assert RelationalClosings(engine, "foreign").forget("acme") == 0
    assert RelationalClosings(engine, "new", ["old"]).forget("acme") == 1


def test_both_go_with_their_tenant(engine: Engine) -> None:
    closings, seats = RelationalClosings(engine, "journal"), RelationalSeats(engine, "journal")
    closings.close("acme", Month(2026, 10), NOW, (None, None), write_figures(Month(2026, 10), {}, {}))
    seats.add(a_plan())
    RelationalIdentityStore(engine).remove_tenant("acme")
    assert closings.closings("acme") == ()
    assert seats.plans("acme", PageAsk()).items == ()


def test_a_plan_comes_back_as_it_was(engine: Engine) -> None:
    store = RelationalSeats(engine, "journal")
    plan = a_plan(price_per_seat=Decimal("0.000000000001"), project_id="p", note="¢", ends=date(2026, 12, 1))
    store.add(plan)
    store.add(replace(plan, created_by="another key"))
    assert store.plan("acme", plan.id) == plan
    with pytest.raises(Conflict):
        store.add(replace(plan, seats=11))
    with pytest.raises(NotFound):
        store.plan("other", plan.id)
    foreign = RelationalSeats(engine, "foreign")
    with pytest.raises(NotFound):
        foreign.plan("acme", plan.id)
    with pytest.raises(Conflict):
        foreign.add(plan)


def test_plans_come_page_by_page(engine: Engine) -> None:
    store = RelationalSeats(engine, "journal")
    plans = [a_plan(id=f"seat_{number}") for number in range(5)]
    for plan in plans:
        store.add(plan)
    found, ask = list[str](), PageAsk(2)
    while True:
        page = store.plans("acme", ask)
        found += [plan.id for plan in page.items]
        if page.next is None:
            break
        ask = PageAsk(2, page.next)
    assert found == [plan.id for plan in plans]


def test_a_plan_is_unfinished_until_all_its_days_are_recorded(engine: Engine) -> None:
    store = RelationalSeats(engine, "journal")
    store.add(a_plan(ends=date(2026, 11, 3)))
    store.note_recorded("acme", "seat_1", date(2026, 11, 2))
    assert [plan.recorded_until for plan in store.unfinished("acme")] == [date(2026, 11, 2)]
    store.note_recorded("acme", "seat_1", date(2026, 11, 3))
    store.note_recorded("acme", "seat_1", date(2026, 11, 1))
    assert store.plan("acme", "seat_1").recorded_until == date(2026, 11, 3)
    assert store.unfinished("acme") == ()


def test_a_plan_of_which_no_day_is_recorded_can_go_and_needs_no_recording(engine: Engine) -> None:
    store = RelationalSeats(engine, "journal")
    store.add(a_plan())
    assert not RelationalSeats(engine, "foreign").remove_unrecorded("acme", "seat_1")
    assert not store.remove_unrecorded("other", "seat_1")
    store.end("acme", "seat_1", a_plan().starts)
    assert store.unfinished("acme") == ()
    assert store.remove_unrecorded("acme", "seat_1")
    store.add(a_plan())
    store.note_recorded("acme", "seat_1", date(2026, 11, 2))
    assert not store.remove_unrecorded("acme", "seat_1")
    assert store.plans("acme", PageAsk()).items != ()


def test_a_plan_ends_where_no_later_day_is_recorded(engine: Engine) -> None:
    store = RelationalSeats(engine, "journal")
    store.add(a_plan())
    store.note_recorded("acme", "seat_1", date(2026, 11, 5))
    with pytest.raises(Conflict):
        store.end("acme", "seat_1", date(2026, 11, 4))
    assert store.end("acme", "seat_1", date(2026, 11, 5)).ends == date(2026, 11, 5)
    with pytest.raises(NotFound):
        store.end("other", "seat_1", date(2026, 11, 5))
