"""Pricing one call: Bursar's rating beside `genai-prices` and `litellm.completion_cost`.

The same calls, of seven models that all three know, with cached tokens in some. Bursar gives an exact
decimal with the rate card it came from; genai-prices a decimal; litellm a float. Neither peer remembers
which model it found, so most of their time is finding it. Only pricing is timed, in processor time.
"""

from __future__ import annotations

import json
import os
import time
from decimal import Decimal
from typing import TYPE_CHECKING

from genai_prices import Usage, calc_price

from bench.events import MODELS, make_events
from bench.options import Options, say
from bench.peer_programs import run_peer
from bench.report import Line, Report
from bursar import clock
from bursar.money import PICOS_PER_UNIT
from bursar.pricing.genai_source import load_book
from bursar.pricing.rating import PricingSubject, rate_usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from bursar.units import Quantities

CALLS = 2_000
KNOWN = {model for provider, model, _ in MODELS if provider != "nobody"}
Call = dict[str, str | int]


def run(options: Options, report: Report) -> None:
    """Microseconds of processor time for one call, by each."""
    calls = _calls()
    say(f"pricing {len(calls):,} calls, {options.runs} times")
    micros, total = _timed(_ours(calls), options.runs, len(calls))
    report.add(Line("pricing one call: Bursar", micros, "µs CPU", note=f"total {total / PICOS_PER_UNIT:.6f}"))
    micros, total = _timed(_genai(calls), options.runs, len(calls))
    report.add(Line("pricing one call: genai-prices", micros, "µs CPU", note=f"total {total:.6f}"))
    path = options.scratch / f"calls-{os.getpid()}.json"
    path.write_text(json.dumps(calls))
    found = run_peer(options, "litellm", "litellm_costs", [str(path)])
    path.unlink()
    if found is not None:
        note = f"total {found['total']:.6f}"
        report.add(Line("pricing one call: litellm.completion_cost", found["micros"], "µs CPU", note=note))


def _calls() -> list[Call]:
    events = (event for seed in range(4) for event in make_events(1_000, seed, clock.now()))
    names = ("provider", "model", "input_tokens", "output_tokens")
    return [
        {**{name: event[name] for name in names}, "cached_tokens": event.get("cached_tokens", 0)}
        for event in events
        if event["model"] in KNOWN
    ][:CALLS]


def _timed(price_all: Callable[[], Decimal | int], runs: int, calls: int) -> tuple[list[float], Decimal]:
    micros: list[float] = []
    total: Decimal | int = 0
    for _ in range(runs):
        started = time.process_time()
        total = price_all()
        micros.append((time.process_time() - started) / calls * 1e6)
    return micros, Decimal(total)


def _ours(calls: list[Call]) -> Callable[[], int]:
    book, now = load_book(), clock.now()
    asked: list[tuple[PricingSubject, Quantities]] = []
    for call in calls:
        cached = int(call["cached_tokens"])
        units: Quantities = {"input_text": int(call["input_tokens"]) - cached}
        units |= {"cache_read_text": cached} if cached else {}
        units["output_text"] = int(call["output_tokens"])
        context = int(call["input_tokens"])
        subject = PricingSubject(str(call["provider"]), str(call["model"]), now, context_tokens=context)
        asked.append((subject, units))
    return lambda: sum(rate_usage(book, subject, units).picos or 0 for subject, units in asked)


def _genai(calls: list[Call]) -> Callable[[], Decimal]:
    now = clock.now()
    asked = [
        (
            Usage(
                input_tokens=int(call["input_tokens"]),
                cache_read_tokens=int(call["cached_tokens"]),
                output_tokens=int(call["output_tokens"]),
            ),
            str(call["model"]),
            str(call["provider"]),
        )
        for call in calls
    ]

    def price_all() -> Decimal:
        return sum(
            (
                calc_price(usage, model, provider_id=provider, genai_request_timestamp=now).total_price
                for usage, model, provider in asked
            ),
            Decimal(0),
        )

    return price_all
