"""Puts the invented usage together: how many calls in which hour, and what each of them was.

Pure: everything follows from the plan. All randomness comes from one seeded source that is asked in
a fixed order, which is why the same plan gives the same bytes.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from bursar import clock
from bursar.cli.demo_usage.reporting import Tokens, usage_fields
from bursar.cli.demo_usage.rhythm import Slot, share_out, slots
from bursar.cli.demo_usage.workloads import (
    AGENT,
    FAILURES,
    RUNAWAY_INPUT_TOKENS,
    RUNAWAY_TAGS,
    RUNAWAY_USER,
    WORKLOADS,
    Form,
    Model,
    Workload,
)
from bursar.money import format_picos

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Event = dict[str, Any]
T = TypeVar("T")

SPIKE_SHARE = 0.015
"""Part of all events that the runaway agent makes, within six hours."""
SPIKE_HOURS = 6
OUTAGE_HOURS = 3
OUTAGE_ERROR_RATE = 0.4
DAYS_WITH_FIXED_HOURS = 5
PROMPT_LIMIT = 900_000
_PICOS_PER_MILLIONTH = 10**6


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What to invent: how much, up to when, and from which seed."""

    end: datetime
    days: int = 30
    events: int = 60_000
    seed: int = 1

    @property
    def spike_start(self) -> datetime:
        """When the runaway agent starts: a third of the window before its end, at 13:00 UTC."""
        return self._at_hour(0.3, 13)

    @property
    def outage_start(self) -> datetime:
        """When Google's API starts to fail: a sixth of the window before its end, at 14:00 UTC."""
        return self._at_hour(0.17, 14)

    def _at_hour(self, part: float, hour: int) -> datetime:
        moment = self.end - timedelta(days=self.days) * part
        # In a window of a day or two that hour may lie outside; then any full hour will do.
        chosen = hour if self.days >= DAYS_WITH_FIXED_HOURS else moment.hour
        return moment.replace(hour=chosen, minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class _Call:
    """One call before it is written down."""

    moment: datetime
    workload: Workload
    is_runaway: bool = False


def generate_usage(plan: DemoPlan) -> Iterator[Event]:
    """The plan's events in order of time, as dictionaries with the canonical names of an event.

    Exactly `plan.events` of them, all within the `days` before `end`.
    """
    source = random.Random(plan.seed)  # noqa: S311 - reproducible on purpose, keeps no secret
    prefix = f"demo-{plan.seed}-{plan.end:%Y%m%dT%H%M%S}"
    for number, call in enumerate(_calls(plan, source)):
        yield {"event_id": f"{prefix}-{number:06d}", **_event(call, plan, source)}


def _calls(plan: DemoPlan, source: random.Random) -> Iterator[_Call]:
    hours = list(slots(plan.end, plan.days))
    spike_end = plan.spike_start + timedelta(hours=SPIKE_HOURS)
    spiking = [plan.spike_start <= hour.start < spike_end for hour in hours]
    runaway = round(plan.events * SPIKE_SHARE) if any(spiking) else 0
    runaway_counts = share_out(runaway, [float(one) for one in spiking]) if runaway else [0] * len(hours)
    weights = [
        workload.share * hour.activity(workload.rhythm) * source.uniform(0.75, 1.25)
        for hour in hours
        for workload in WORKLOADS
    ]
    counts = share_out(plan.events - runaway, weights)
    for index, hour in enumerate(hours):
        row = counts[index * len(WORKLOADS) : (index + 1) * len(WORKLOADS)]
        calls = [
            _Call(_moment(hour, source), work)
            for work, n in zip(WORKLOADS, row, strict=True)
            for _ in range(n)
        ]
        calls += [_Call(_moment(hour, source), AGENT, is_runaway=True) for _ in range(runaway_counts[index])]
        yield from sorted(calls, key=lambda call: call.moment)


def _event(call: _Call, plan: DemoPlan, source: random.Random) -> Event:
    workload = call.workload
    model = _pick(workload.models, source)
    failure = _failure(call, model, plan, source)
    event: Event = {
        "time": clock.rfc3339(call.moment),
        "service_type": workload.service_type,
        "provider": model.provider,
        "model": model.name,
        "operation": workload.operation,
        "project_id": workload.project_id,
        **_who(call, source),
        **_how(call, model, source),
    }
    if failure is not None:
        return {**event, **_failed(model, failure, source)}
    return {**event, "status": "ok", **_succeeded(call, model, source)}


def _who(call: _Call, source: random.Random) -> Event:
    """User, session and the ids that other systems would know the call by."""
    # Squaring favours the first few people: some use far more than others.
    person = int(source.random() ** 2 * call.workload.people)
    user = RUNAWAY_USER if call.is_runaway else f"{call.workload.project_id}-user-{person + 1:03d}"
    session = 1 if call.is_runaway else source.randrange(1, 4)
    return {
        "user_id": user,
        "session_id": f"{user}-{call.moment:%m%d}-{session}",
        "request_id": f"req_{source.getrandbits(64):016x}",
        "trace_id": f"{source.getrandbits(128):032x}",
    }


def _how(call: _Call, model: Model, source: random.Random) -> Event:
    """Environment, tags and settings of the call."""
    workload = call.workload
    fields: Event = {
        "environment": "production" if call.is_runaway or source.random() < 0.9 else "staging",  # noqa: PLR2004 - nine in ten
        "tags": RUNAWAY_TAGS
        if call.is_runaway
        else {name: source.choice(values) for name, values in workload.tags.items()},
    }
    if model.region:
        fields["region"] = model.region
    if workload.prompt_versions:
        fields["prompt_version"] = source.choice(workload.prompt_versions)
    if workload.output_tokens:
        fields["temperature"] = source.choice((0, 0.2, 0.7))
    if model.batch and source.random() < model.batch:
        fields["batch"] = True
    return fields


def _failure(call: _Call, model: Model, plan: DemoPlan, source: random.Random) -> str | None:
    outage_end = plan.outage_start + timedelta(hours=OUTAGE_HOURS)
    is_out = model.provider == "google" and plan.outage_start <= call.moment < outage_end
    if source.random() >= (OUTAGE_ERROR_RATE if is_out else call.workload.error_rate):
        return None
    return "overloaded" if is_out else _pick([(code, weight) for code, weight, _ in FAILURES], source)


def _failed(model: Model, code: str, source: random.Random) -> Event:
    """A call that was turned away: it used nothing, and says so."""
    message = next(text for name, _, text in FAILURES if name == code)
    return {
        "status": "error",
        "error_code": code,
        "message": message,
        "retry_count": source.randrange(4),
        "latency_ms": 30_000 if code == "timeout" else _around(model.first_token_ms, 0.5, source),
        **usage_fields(Form.TOTALS, Tokens()),
    }


def _succeeded(call: _Call, model: Model, source: random.Random) -> Event:
    workload = call.workload
    if workload.metered:
        return _metered(workload, workload.metered, model, source)
    tokens = _tokens(call, model, source)
    first_token_ms = _around(model.first_token_ms, 0.35, source) + tokens.prompt // 400
    generating_ms = tokens.output * model.ms_per_output_token * source.uniform(0.8, 1.3)
    fields: Event = {"latency_ms": first_token_ms + round(generating_ms), **usage_fields(model.form, tokens)}
    if tokens.output:
        fields["time_to_first_token_ms"] = first_token_ms
        fields["max_tokens"] = 4_096
    return fields


def _metered(workload: Workload, unit: str, model: Model, source: random.Random) -> Event:
    """A call that is billed by something else than tokens."""
    quantity = 1 if workload.metered_median == 1 else _around(workload.metered_median, 0.7, source)
    fields: Event = {
        "units": {unit: quantity},
        "latency_ms": _around(model.first_token_ms, 0.3, source) + quantity * 9,
    }
    if workload.reported_price is not None:
        millionths, currency = workload.reported_price
        amount = format_picos(quantity * millionths * _PICOS_PER_MILLIONTH)
        fields["cost"] = {"amount": amount, "currency": currency}
    return fields


def _tokens(call: _Call, model: Model, source: random.Random) -> Tokens:
    workload = call.workload
    median = RUNAWAY_INPUT_TOKENS if call.is_runaway else workload.input_tokens
    prompt = min(PROMPT_LIMIT, _around(median, 0.6, source))
    cached = round(prompt * _part(workload.cached, source))
    # Only Anthropic bills writing to the cache; what isn't read there is partly written.
    written = (prompt - cached) * 3 // 10 if cached and model.form is Form.ANTHROPIC else 0
    output = _around(workload.output_tokens, 0.7, source) if workload.output_tokens else 0
    reasoning = 0 if model.form is Form.ANTHROPIC else round(output * _part(workload.reasoning, source))
    return Tokens(prompt - cached - written, cached, written, output - reasoning, reasoning)


def _part(average: float, source: random.Random) -> float:
    """A part between 0 and 1: often none at all, so that the average comes from the others."""
    if not average or source.random() < 0.25:  # noqa: PLR2004 - a quarter of the calls find no cache
        return 0.0
    return min(0.98, average * source.uniform(0.9, 1.5))


def _around(median: float, spread: float, source: random.Random) -> int:
    """A whole number from 1, log-normally spread around the median."""
    return max(1, round(median * math.exp(spread * source.gauss(0.0, 1.0))))


def _pick(choices: Sequence[tuple[T, float]], source: random.Random) -> T:
    mark = source.random() * sum(weight for _, weight in choices)
    for choice, weight in choices:
        mark -= weight
        if mark < 0:
            return choice
    return choices[-1][0]


def _moment(hour: Slot, source: random.Random) -> datetime:
    length = (hour.end - hour.start) // timedelta(microseconds=1)
    micros = source.randrange(length)
    # Clients report milliseconds.
    return hour.start + timedelta(milliseconds=micros // 1000)
