"""Retention: which days go together, where the horizon lies, and that it never goes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from bursar import clock
from bursar.errors import ConfigurationError, Invalid, NotFound
from bursar.identity.caller import Caller
from bursar.identity.permissions import Scope, permissions_of
from bursar.storage.relational.identity import RelationalIdentityStore
from bursar.storage.relational.retention import RelationalRetentions
from bursar.usage.checks import Receipt, TimeRules, check_event
from bursar.usage.retention.horizons import Horizons
from bursar.usage.retention.policy import Retention, RetentionChoice, contradictions, horizon
from tests.support.identity import a_tenant

if TYPE_CHECKING:
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
    RelationalIdentityStore(state_engine).add_tenant(a_tenant("acme"))
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
    assert store.choices() == {"acme": RetentionChoice()}


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
    assert Horizons(store, Retention(), 35, {"acme": before}).horizon_of("acme", NOW) == before


def codes(
    time: datetime, rules: TimeRules, named: str | None = None, *, is_operator: bool = False
) -> list[str]:
    caller = Caller("acme", "key_1", permissions_of({Scope.INGEST}), is_operator=is_operator)
    receipt = Receipt.of(caller, "native", NOW, rules, lambda tenant: tenant != "nobody")
    return [reason.code for reason in check_event(named, clock.to_micros(time), receipt)]


def test_events_from_before_the_horizon_are_refused_at_every_door() -> None:
    edge = MIDNIGHT - timedelta(days=40)

    def horizon_of(tenant_id: str, _now: datetime) -> datetime | None:
        return {"acme": edge, "rival": MIDNIGHT}.get(tenant_id)

    native = TimeRules(timedelta(days=35), timedelta(minutes=5), horizon_of)
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
