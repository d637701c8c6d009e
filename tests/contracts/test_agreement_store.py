"""What the store of agreements promises, on SQLite and on PostgreSQL: added, withdrawn, never changed."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bursar.errors import Conflict, NotFound
from bursar.pricing.agreements.store import TermAsk, TermRecord
from bursar.pricing.choices import PricingChoices
from bursar.pricing.exchange.rates import Withdrawal
from bursar.storage.relational.agreements import RelationalAgreements
from bursar.storage.relational.identity import RelationalIdentityStore
from tests.support.identity import a_tenant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
GONE = Withdrawal(NOW + timedelta(hours=1), "key_2", "ended")
KINDS = ("discount", "contract")


@pytest.fixture
def store(state_engine: Engine) -> RelationalAgreements:
    identity = RelationalIdentityStore(state_engine)
    for name in ("acme", "other"):
        identity.add_tenant(a_tenant(name))
    return RelationalAgreements(state_engine)


def a_term(
    name: str = "ovr_1",
    *,
    tenant: str = "acme",
    kind: str = "discount",
    document: str = "{}",
    minutes: int = 0,
) -> TermRecord:
    return TermRecord(name, tenant, kind, None, document, NOW + timedelta(minutes=minutes), "key_1")


def no_check(_others: Sequence[TermRecord]) -> None:
    """Nothing clashes."""


def add(store: RelationalAgreements, *terms: TermRecord) -> None:
    for term in terms:
        store.add_term(term, no_check)


def test_a_term_comes_back_to_the_letter(store: RelationalAgreements) -> None:
    term = a_term(document='{"note":"¢ ünï"}')
    assert store.add_term(term, no_check) == (term, True)
    assert store.list_terms(TermAsk("acme", KINDS)) == [term]
    agreed = store.agreed("acme")
    assert agreed is not None
    assert agreed.records == (term,)


def test_the_same_again_is_not_new_and_another_content_is_refused(store: RelationalAgreements) -> None:
    add(store, a_term())
    later = a_term(minutes=5)
    assert store.add_term(later, no_check) == (a_term(), False)
    with pytest.raises(Conflict, match="Idempotency-Key"):
        store.add_term(a_term(document='{"percent":"5"}'), no_check)


def test_a_check_sees_what_counts_and_its_refusal_keeps_nothing(store: RelationalAgreements) -> None:
    add(store, a_term("ovr_1"), a_term("ovr_2", minutes=1), a_term("ovr_3", tenant="other"))
    store.withdraw_term("acme", KINDS, "ovr_1", GONE)
    stamp = store.stamps()["acme"]
    seen: list[str] = []

    def refuse(others: Sequence[TermRecord]) -> None:
        seen.extend(one.id for one in others)
        raise Conflict

    with pytest.raises(Conflict):
        store.add_term(a_term("ovr_4"), refuse)
    assert seen == ["ovr_2"]
    assert store.stamps()["acme"] == stamp
    assert [one.id for one in store.list_terms(TermAsk("acme", KINDS))] == ["ovr_2"]


def test_a_withdrawn_term_counts_no_longer_and_says_who_when_and_why(store: RelationalAgreements) -> None:
    add(store, a_term())
    gone = store.withdraw_term("acme", KINDS, "ovr_1", GONE)
    assert gone.withdrawn == GONE
    again = Withdrawal(NOW + timedelta(days=1), "key_3", "once more")
    assert store.withdraw_term("acme", KINDS, "ovr_1", again) == gone
    agreed = store.agreed("acme")
    assert agreed is not None
    assert agreed.records == ()
    assert store.list_terms(TermAsk("acme", KINDS)) == []
    assert store.list_terms(TermAsk("acme", KINDS, has_withdrawn=True)) == [gone]


def test_another_tenants_terms_are_as_unknown_as_none(store: RelationalAgreements) -> None:
    add(store, a_term("ovr_1", tenant="other"))
    for tenant, kinds, name in (
        ("acme", KINDS, "ovr_1"),
        ("other", ("alias",), "ovr_1"),
        ("acme", KINDS, "x"),
    ):
        with pytest.raises(NotFound):
            store.withdraw_term(tenant, kinds, name, GONE)
    assert store.agreed("acme") is None
    assert store.list_terms(TermAsk("acme", KINDS, has_withdrawn=True)) == []


def test_every_change_renews_the_stamp_of_its_tenant_alone(store: RelationalAgreements) -> None:
    changes = (
        lambda: add(store, a_term()),
        lambda: store.withdraw_term("acme", KINDS, "ovr_1", GONE),
        lambda: store.choose("acme", PricingChoices("EUR")),
    )
    add(store, a_term("ovr_9", tenant="other"))
    seen = {store.stamps()["other"]}
    for change in changes:
        change()
        stamps = store.stamps()
        assert stamps["acme"] not in seen
        assert stamps["other"] in seen
        seen.add(stamps["acme"])


def test_choices_are_kept_whole_and_in_place_of_those_before(store: RelationalAgreements) -> None:
    chosen = PricingChoices("EUR", 0, frozenset({"openrouter", "x-ai"}))
    store.choose("acme", chosen)
    agreed = store.agreed("acme")
    assert agreed is not None
    assert agreed.choices == chosen
    add(store, a_term())
    store.choose("acme", PricingChoices())
    agreed = store.agreed("acme")
    assert agreed is not None
    assert (agreed.choices, len(agreed.records)) == (PricingChoices(), 1)
    with pytest.raises(NotFound):
        store.choose("nobody", chosen)


def test_pages_follow_each_other_in_the_order_recorded(store: RelationalAgreements) -> None:
    add(store, *(a_term(f"ovr_{number}", minutes=number // 2) for number in range(7)))
    seen: list[str] = []
    after: tuple[datetime, str] | None = None
    while page := store.list_terms(TermAsk("acme", KINDS, after=after, limit=3)):
        seen += [one.id for one in page]
        after = page[-1].recorded_at, page[-1].id
    assert seen == [f"ovr_{number}" for number in range(7)]
    assert store.list_terms(TermAsk("acme", ("contract",))) == []


def test_of_two_that_clash_and_come_at_once_one_is_refused(store: RelationalAgreements) -> None:
    refused: list[str] = []

    def add_if_alone(name: str) -> None:
        def check(others: Sequence[TermRecord]) -> None:
            if others:
                raise Conflict

        try:
            store.add_term(a_term(name), check)
        except Conflict:
            refused.append(name)

    threads = [threading.Thread(target=add_if_alone, args=(f"ovr_{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 5
    assert len(store.list_terms(TermAsk("acme", KINDS))) == 1


def test_a_tenants_agreements_go_with_it(store: RelationalAgreements, state_engine: Engine) -> None:
    add(store, a_term(), a_term("ovr_2", tenant="other"))
    store.choose("acme", PricingChoices("EUR"))
    RelationalIdentityStore(state_engine).remove_tenant("acme")
    assert set(store.stamps()) == {"other"}
    assert store.agreed("acme") is None
    RelationalIdentityStore(state_engine).add_tenant(a_tenant("acme"))
    assert store.list_terms(TermAsk("acme", KINDS, has_withdrawn=True)) == []
