"""Retention: which days go together, where the horizon lies, and that it never goes back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bursar import clock
from bursar.errors import ConfigurationError, Invalid, NotFound
from bursar.identity.caller import Caller
from bursar.identity.permissions import Scope, permissions_of
from bursar.storage.relational.identity import RelationalIdentityStore
from bursar.storage.relational.retention import RelationalRetentions
from bursar.usage.checks import Receipt, TimeRules, check_event
from bursar.usage.retention.horizons import Horizons
from bursar.usage.retention.policy import (
    Retention,
    RetentionChoice,
    contradictions,
    horizon,
    refuse_project_days,
)
from bursar.usage.whose import Whose
from tests.support.identity import a_project, a_tenant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

NOW = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("retention", "fields"),
    [
        (Retention(), []),
        (Retention(events=36), []),
        (Retention(events=35), ["events_days"]),
        (Retention(events=36, rollups=36), []),
        (Retention(events=36, rollups=35), ["rollups_days"]),
        (Retention(events=90, rollups=730, quarantine=1), []),
        (Retention(rollups=730), ["rollups_days"]),
        (Retention(events=1, rollups=0), ["events_days"]),
        (Retention(events=20, rollups=10), ["events_days", "rollups_days"]),
        (Retention(events=36, archive=36), []),
        (Retention(events=36, archive=400), []),
        (Retention(events=401, archive=400), ["events_days"]),
        (Retention(archive=400), ["events_days"]),
        (Retention(events=36, archive=35), ["events_days"]),
    ],
)
def test_days_that_contradict_each_other_are_refused_with_every_reason(
    retention: Retention, fields: list[str]
) -> None:
    assert [reason.field for reason in contradictions(retention, max_past_days=35)] == fields


def test_the_horizon_is_a_midnight_in_utc_and_never_before_1970() -> None:
    assert horizon(0, NOW) is None
    assert horizon(1, NOW) == MIDNIGHT - timedelta(days=1)
    assert horizon(36, NOW) == datetime(2026, 1, 25, tzinfo=UTC)
    assert horizon(36_500, NOW) == clock.EPOCH


@pytest.fixture
def store(state_engine: Engine) -> RelationalRetentions:
    identity = RelationalIdentityStore(state_engine)
    for tenant in ("acme", "rival"):
        identity.add_tenant(a_tenant(tenant))
        identity.add_project(a_project(tenant_id=tenant))
    return RelationalRetentions(state_engine)


def test_a_choice_is_kept_and_what_is_left_open_follows_the_defaults(store: RelationalRetentions) -> None:
    defaults = Retention(events=60)
    horizons = Horizons(store, defaults, 35, {})
    assert horizons.retention_of("acme") == defaults
    horizons.choose("acme", RetentionChoice(events=90, rollups=0))
    again = Horizons(store, replace(defaults, quarantine=7), 35, {})
    assert again.choice_of("acme") == RetentionChoice(events=90, rollups=0)
    assert again.retention_of("acme") == Retention(events=90, rollups=0, quarantine=7)
    assert again.retention_of("other") == Retention(events=60, quarantine=7)
    again.choose("acme", RetentionChoice())
    assert store.choices() == {Whose("acme"): RetentionChoice()}


def test_a_bad_choice_changes_nothing_and_an_unknown_tenant_has_none(store: RelationalRetentions) -> None:
    horizons = Horizons(store, Retention(), 35, {})
    with pytest.raises(Invalid) as refused:
        horizons.choose("acme", RetentionChoice(events=10))
    assert "36 days or more" in refused.value.reasons[0].message
    assert store.choices() == {}
    with pytest.raises(NotFound):
        horizons.choose("nobody", RetentionChoice())
    assert horizons.retention_of("acme") == Retention()


def test_a_start_with_settings_that_contradict_a_choice_is_refused_by_name(
    store: RelationalRetentions,
) -> None:
    Horizons(store, Retention(), 35, {}).choose("acme", RetentionChoice(events=36))
    with pytest.raises(ConfigurationError, match=r"acme\.events_days"):
        Horizons(store, Retention(), 36, {})
    with pytest.raises(ConfigurationError, match="BURSAR_RETENTION_EVENTS_DAYS"):
        Horizons(store, Retention(events=36), 36, {})
    with pytest.raises(ConfigurationError, match="BURSAR_RETENTION_EVENTS_DAYS must be 36 to 99 days"):
        Horizons(store, Retention(archive=99), 35, {})
    Horizons(store, Retention(), 35, {}).choose("acme", RetentionChoice(events=100))
    with pytest.raises(ConfigurationError, match="tenant acme: must be 36 to 99 days"):
        Horizons(store, Retention(events=50, archive=99), 35, {})
    with pytest.raises(Invalid):
        Horizons(store, Retention(events=50, archive=100), 35, {}).choose("acme", RetentionChoice(events=0))


def test_the_horizon_goes_forward_only_whatever_is_chosen_later(store: RelationalRetentions) -> None:
    horizons = Horizons(store, Retention(), 35, {})
    assert horizons.horizon_of("acme", NOW) is None
    horizons.choose("acme", RetentionChoice(events=40))
    before = MIDNIGHT - timedelta(days=40)
    assert horizons.horizon_of("acme", NOW) == before
    horizons.note_expired("acme", before)
    horizons.choose("acme", RetentionChoice(events=400))
    assert horizons.horizon_of("acme", NOW) == before
    horizons.choose("acme", RetentionChoice(events=0))
    assert horizons.horizon_of("acme", NOW) == before
    assert Horizons(store, Retention(), 35, {Whose("acme"): before}).horizon_of("acme", NOW) == before


@pytest.mark.parametrize(
    ("chosen", "fields"),
    [
        (RetentionChoice(), []),
        (RetentionChoice(events=36), []),
        (RetentionChoice(events=90, rollups=365), []),
        (RetentionChoice(rollups=90), []),
        (RetentionChoice(events=91), ["events_days"]),
        (RetentionChoice(events=0), ["events_days"]),
        (RetentionChoice(events=35), ["events_days"]),
        (RetentionChoice(rollups=89), ["rollups_days"]),
        (RetentionChoice(events=40, rollups=39), ["rollups_days"]),
        (RetentionChoice(events=100, rollups=0), ["events_days", "rollups_days"]),
        (RetentionChoice(events=100, rollups=20), ["events_days", "rollups_days"]),
        (RetentionChoice(quarantine=7), ["quarantine_days"]),
    ],
)
def test_a_project_is_kept_for_as_long_as_its_tenant_at_most(
    chosen: RetentionChoice, fields: list[str]
) -> None:
    reasons = refuse_project_days(chosen, Retention(events=90, rollups=365), max_past_days=35)
    assert [reason.field for reason in reasons] == fields


days = st.one_of(st.just(0), st.integers(36, 500))
tenants = st.builds(Retention, days, days).filter(lambda one: not contradictions(one, 35))
choices = st.builds(RetentionChoice, st.one_of(st.none(), days), st.one_of(st.none(), days))


@given(chosen=choices, then=tenants, later=tenants)
def test_whatever_the_tenant_chooses_later_a_project_is_kept_no_longer_and_without_contradiction(
    chosen: RetentionChoice, then: Retention, later: Retention
) -> None:
    assume(not refuse_project_days(chosen, then, 35))
    assert chosen.within(then) == chosen.asked_within(then)
    found = chosen.within(later)
    assert not contradictions(found, 35)
    for days_found, most in ((found.events, later.events), (found.rollups, later.rollups)):
        assert (days_found or 10_000) <= (most or 10_000)


def test_a_projects_choice_counts_within_its_tenants_and_is_kept(store: RelationalRetentions) -> None:
    horizons = Horizons(store, Retention(), 35, {})
    with pytest.raises(NotFound, match="nothing"):
        horizons.choose("acme", RetentionChoice(events=50), "nothing")
    horizons.choose("acme", RetentionChoice(events=50), "search")
    assert horizons.retention_of("acme", "search").events == 50
    for whose in (("acme", "other"), ("acme", None), ("rival", "search")):
        assert horizons.retention_of(*whose) == Retention()
    horizons.choose("acme", RetentionChoice(events=40))
    assert horizons.retention_of("acme", "search").events == 40
    again = Horizons(store, Retention(events=45), 35, {})
    assert again.choice_of("acme", "search") == RetentionChoice(events=50)
    assert (again.projects_of("acme"), again.projects_of("rival")) == (("search",), ())
    again.choose("acme", RetentionChoice(events=60))
    assert again.retention_of("acme", "search").events == 50
    again.choose("acme", RetentionChoice(), "search")
    assert again.retention_of("acme", "search").events == 60


def test_a_projects_horizon_goes_forward_only_and_the_latest_of_all_is_known(
    store: RelationalRetentions,
) -> None:
    horizons = Horizons(store, Retention(), 35, {})
    horizons.choose("acme", RetentionChoice(events=100))
    horizons.choose("acme", RetentionChoice(events=50), "search")
    own, tenants = (MIDNIGHT - timedelta(days=days) for days in (50, 100))
    assert horizons.horizon_of("acme", NOW, "search") == horizons.latest_of("acme", NOW) == own
    assert horizons.horizon_of("acme", NOW) == horizons.horizon_of("acme", NOW, "other") == tenants
    assert horizons.latest_of("rival", NOW) is horizons.horizon_of("rival", NOW, "search") is None
    horizons.note_expired("acme", own, "search")
    horizons.choose("acme", RetentionChoice(), "search")
    for known in (horizons, Horizons(store, Retention(), 35, {Whose("acme", "search"): own})):
        assert known.horizon_of("acme", NOW, "search") == known.latest_of("acme", NOW) == own
        assert known.horizon_of("acme", NOW) == tenants
    horizons.forget("acme", "search")
    assert horizons.horizon_of("acme", NOW, "search") == horizons.latest_of("acme", NOW) == tenants


def test_what_another_server_has_chosen_is_known_when_it_is_read_again(store: RelationalRetentions) -> None:
    here, there = (Horizons(store, Retention(), 35, {}) for _ in range(2))
    there.choose("acme", RetentionChoice(events=50), "search")
    there.choose("rival", RetentionChoice(events=60))
    assert here.retention_of("acme", "search") == Retention()
    here.refresh()
    assert here.retention_of("acme", "search").events == 50
    assert here.retention_of("rival").events == 60
    assert here.latest_of("acme", NOW) == MIDNIGHT - timedelta(days=50)


def test_a_start_with_settings_that_contradict_a_projects_choice_names_it(
    store: RelationalRetentions,
) -> None:
    Horizons(store, Retention(), 35, {}).choose("acme", RetentionChoice(events=36), "search")
    with pytest.raises(ConfigurationError, match=r"acme/search\.events_days"):
        Horizons(store, Retention(), 36, {})


def test_a_projects_choice_goes_with_it_or_with_its_tenant(
    store: RelationalRetentions, state_engine: Engine
) -> None:
    identity = RelationalIdentityStore(state_engine)
    for tenant in ("acme", "rival"):
        store.choose(tenant, RetentionChoice(events=50, rollups=60), "search")
    identity.remove_project("acme", "search")
    assert store.choices() == {Whose("rival", "search"): RetentionChoice(50, 60)}
    identity.remove_tenant("rival")
    assert store.choices() == {}


def codes(
    time: datetime,
    rules: TimeRules,
    named: str | None = None,
    *,
    is_operator: bool = False,
    project: str | None = None,
) -> list[str]:
    caller = Caller("acme", "key_1", permissions_of({Scope.INGEST}), is_operator=is_operator)
    receipt = Receipt.of(caller, "native", NOW, rules, lambda tenant: tenant != "nobody")
    return [reason.code for reason in check_event(named, clock.to_micros(time), receipt, project)]


@dataclass(frozen=True)
class Since:
    """Horizons that are known."""

    moments: Mapping[str, datetime]
    """By tenant, or by tenant/project."""

    def horizon_of(self, tenant_id: str, now: datetime, project_id: str | None = None) -> datetime | None:
        assert now == NOW
        own = self.moments.get(tenant_id)
        return own if project_id is None else self.moments.get(f"{tenant_id}/{project_id}", own)

    def latest_of(self, tenant_id: str, now: datetime) -> datetime | None:
        assert now == NOW
        mine = [until for one, until in self.moments.items() if one.split("/")[0] == tenant_id]
        return max(mine, default=None)


def test_an_event_of_a_project_is_judged_by_the_projects_own_horizon() -> None:
    edge = MIDNIGHT - timedelta(days=40)
    since = Since({"acme/short": edge, "acme": edge - timedelta(days=40)})
    door, old = TimeRules(None, timedelta(minutes=5), since), edge - timedelta(microseconds=1)
    assert codes(old, door) == codes(old, door, project="long") == codes(edge, door, project="short") == []
    assert codes(old, door, project="short") == ["beyond_retention"]
    assert codes(old, door, "acme", project="short") == ["beyond_retention"]
    # Of another tenant's project of this id nothing has expired.
    assert codes(old, door, "rival", is_operator=True, project="short") == []
    native = replace(door, max_past=timedelta(days=35))
    assert codes(old, native, project="long") == ["too_old"]
    assert codes(old, native, project="short") == ["beyond_retention"]


def test_events_from_before_the_horizon_are_refused_at_every_door() -> None:
    edge = MIDNIGHT - timedelta(days=40)

    native = TimeRules(timedelta(days=35), timedelta(minutes=5), Since({"acme": edge, "rival": MIDNIGHT}))
    door = replace(native, max_past=None)
    just_before, zone = edge - timedelta(microseconds=1), timezone(timedelta(hours=5))
    assert codes(edge, door) == []
    assert codes(edge.astimezone(zone), door) == []
    assert codes(just_before, door) == ["beyond_retention"]
    assert codes(just_before.astimezone(zone), door) == ["beyond_retention"]
    assert codes(just_before, native) == ["beyond_retention"]
    assert codes(edge, native) == ["too_old"]
    assert codes(NOW, door) == []
    # An operator's item is judged by the tenant that it names.
    last = MIDNIGHT - timedelta(seconds=1)
    assert codes(last, door, "rival", is_operator=True) == ["beyond_retention"]
    assert codes(MIDNIGHT, door, "rival", is_operator=True) == []
    assert codes(last, door, "rival") == ["tenant_mismatch"]
    # The operator's own tenant keeps less, which is no business of the one that is named.
    assert codes(just_before, door, "keeps-all", is_operator=True) == []
