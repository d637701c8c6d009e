"""The demo's invented usage: reproducible to the byte, rhythmic, and with one spike to find."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
import pytest
from genai_prices import Usage, calc_price
from hypothesis import given, settings
from hypothesis import strategies as st

from bursar.cli.demo_usage.generator import DemoPlan, generate_usage
from bursar.cli.demo_usage.rhythm import Rhythm, activity, share_out, slots
from bursar.cli.demo_usage.workloads import OWN_MODEL, RUNAWAY_USER, WORKLOADS
from bursar.units import UNITS
from bursar.usage.event import UsageEvent
from tests.support.rounds import rounds

END = datetime(2026, 11, 20, 15, 27, 41, tzinfo=UTC)
PLAN = DemoPlan(END, events=20_000)


@cache
def demo_events() -> list[dict[str, Any]]:
    return list(generate_usage(PLAN))


def time_of(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["time"])


def as_bytes(plan: DemoPlan) -> bytes:
    return b"\n".join(json.dumps(event).encode() for event in generate_usage(plan))


def test_the_same_seed_and_end_give_the_same_bytes() -> None:
    plan = DemoPlan(END, events=2_000, seed=7)
    assert as_bytes(plan) == as_bytes(plan)


def test_another_seed_or_end_gives_other_ids_and_other_usage() -> None:
    plan = DemoPlan(END, events=500)
    others = (DemoPlan(END, events=500, seed=2), DemoPlan(END + timedelta(seconds=1), events=500))
    ids = {event["event_id"] for event in generate_usage(plan)}
    for other in others:
        assert as_bytes(other) != as_bytes(plan)
        assert ids.isdisjoint(event["event_id"] for event in generate_usage(other))


def test_there_are_as_many_events_as_asked_for_in_order_and_within_the_days() -> None:
    times = [time_of(event) for event in demo_events()]
    assert len(times) == PLAN.events
    assert times == sorted(times)
    assert END - timedelta(days=30) <= times[0]
    assert times[-1] < END
    assert len({event["event_id"] for event in demo_events()}) == PLAN.events


@settings(max_examples=rounds(5))
@given(days=st.integers(1, 34), events=st.integers(1, 300), minutes=st.integers(0, 10_000))
def test_any_window_holds_exactly_what_was_asked_for(days: int, events: int, minutes: int) -> None:
    end = END + timedelta(minutes=minutes)
    made = list(generate_usage(DemoPlan(end, days=days, events=events)))
    assert len(made) == events
    assert all(end - timedelta(days=days) <= time_of(event) < end for event in made)


def test_every_event_has_the_form_that_the_door_takes() -> None:
    for event in demo_events():
        msgspec.convert(event, UsageEvent, strict=False)
        assert set(event.get("units", {})) <= set(UNITS)


def test_office_work_peaks_by_day_and_rests_on_weekends() -> None:
    by_hour: Counter[int] = Counter()
    by_day: dict[int, list[int]] = defaultdict(list)
    reviews = [time_of(event) for event in demo_events() if event["operation"] == "review_code"]
    days = Counter(moment.date() for moment in reviews)
    for moment in reviews:
        by_hour[moment.hour] += 1
    for day, count in days.items():
        by_day[day.weekday()].append(count)
    assert sum(by_hour[hour] for hour in range(8, 18)) > 6 * sum(
        by_hour[hour] for hour in (*range(7), 22, 23)
    )
    tuesday, sunday = sum(by_day[1]) / len(by_day[1]), sum(by_day[6]) / len(by_day[6])
    assert tuesday > 4 * sunday


def test_customers_come_in_the_evening_and_more_on_weekends() -> None:
    assert activity(Rhythm.EVENING, datetime(2026, 11, 18, 20, tzinfo=UTC)) > 2 * activity(
        Rhythm.EVENING, datetime(2026, 11, 18, 9, tzinfo=UTC)
    )
    assert activity(Rhythm.EVENING, datetime(2026, 11, 21, 20, tzinfo=UTC)) > activity(
        Rhythm.EVENING, datetime(2026, 11, 18, 20, tzinfo=UTC)
    )


def test_the_runaway_agent_makes_its_day_stand_out_in_spend() -> None:
    spend: dict[object, Decimal] = defaultdict(Decimal)
    for event in demo_events():
        if "anthropic" in event["provider"] and event["status"] == "ok":
            spend[time_of(event).date()] += anthropic_cost(event)
    ordinary = sorted(spend.values())[len(spend) // 2]
    assert max(spend, key=lambda day: spend[day]) == PLAN.spike_start.date()
    assert spend[PLAN.spike_start.date()] > 3 * ordinary
    runaway = [time_of(event) for event in demo_events() if event["user_id"] == RUNAWAY_USER]
    assert PLAN.spike_start <= min(runaway)
    assert max(runaway) < PLAN.spike_start + timedelta(hours=6)


def anthropic_cost(event: dict[str, Any]) -> Decimal:
    usage = event["usage"]
    read, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
    counted = Usage(
        input_tokens=usage["input_tokens"] + read + written,
        cache_read_tokens=read,
        cache_write_tokens=written,
        output_tokens=usage["output_tokens"],
    )
    return calc_price(counted, event["model"], provider_id="anthropic").total_price


def test_every_model_but_our_own_has_a_price() -> None:
    models = {model for workload in WORKLOADS for model, _ in workload.models if not workload.reported_price}
    for model in sorted(models - {OWN_MODEL}, key=lambda one: one.name):
        price = calc_price(Usage(input_tokens=1), model.name, provider_id=model.provider)
        assert price.model.id
    with pytest.raises(LookupError):
        calc_price(Usage(input_tokens=1), OWN_MODEL.name, provider_id=OWN_MODEL.provider)


def test_usage_comes_in_every_form_and_from_every_kind_of_work() -> None:
    seen: Counter[str] = Counter()
    for event in demo_events():
        seen.update(name for name in ("usage", "units", "input_tokens", "cost", "batch") if name in event)
        seen[event["service_type"]] += 1
        seen[event["environment"]] += 1
        seen.update([event["provider"]])
        if event["status"] == "error":
            seen[event["error_code"]] += 1
    expected = {
        *("usage", "units", "input_tokens", "cost", "batch"),
        *("llm_service", "document_processor", "api_service"),
        *("production", "staging"),
        *("openai", "anthropic", "google", "mistral", "deepseek", "acme"),
        *("rate_limit_exceeded", "overloaded", "timeout", "context_length_exceeded"),
    }
    assert expected <= set(seen)
    assert 0.005 < sum(event["status"] == "error" for event in demo_events()) / PLAN.events < 0.05


def test_models_differ_in_how_quickly_they_answer() -> None:
    def median(model: str) -> int:
        taken = sorted(event["latency_ms"] for event in demo_events() if event["model"] == model)
        return taken[len(taken) // 2]

    assert median("text-embedding-3-small") < median("gpt-5.4-mini") < median("claude-sonnet-5")


@given(st.integers(0, 10_000), st.lists(st.floats(0.001, 1000), min_size=1, max_size=50))
def test_shares_are_whole_and_add_up_to_the_total(total: int, weights: list[float]) -> None:
    shares = share_out(total, weights)
    assert sum(shares) == total
    assert min(shares) >= 0


def test_slots_fill_the_days_without_gaps() -> None:
    parts = list(slots(END, 2))
    assert parts[0].start == END - timedelta(days=2)
    assert parts[-1].end == END
    assert all(before.end == after.start for before, after in itertools.pairwise(parts))
    assert len(parts) == 49
