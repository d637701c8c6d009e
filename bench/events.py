"""Events to send: unique ids, varied bodies, made from a seed, encoded before the clock starts."""

from __future__ import annotations

import random
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from bursar import clock

if TYPE_CHECKING:
    from datetime import datetime

MODELS = (
    ("openai", "gpt-5", 4),
    ("openai", "gpt-5-mini", 5),
    ("openai", "gpt-4o-mini", 3),
    ("anthropic", "claude-sonnet-4-5", 5),
    ("anthropic", "claude-haiku-4-5", 3),
    ("google", "gemini-2.5-flash", 4),
    ("google", "gemini-2.5-pro", 2),
    ("nobody", "a-model-without-a-price", 1),
)
"""Provider, model and weight; one in 27 events can't be priced."""
DAYS = 30


def make_events(
    count: int, seed: int, now: datetime, span: timedelta = timedelta(days=DAYS)
) -> list[dict[str, Any]]:
    """Different events with times within `span` before `now`, as an application would send them."""
    chance = random.Random(seed)
    models = chance.choices(MODELS, weights=[weight for _, _, weight in MODELS], k=count)
    seconds = int(span.total_seconds())
    return [_event(chance, provider, model, now, seconds) for provider, model, _ in models]


def make_body(count: int, seed: int, now: datetime, span: timedelta = timedelta(days=DAYS)) -> bytes:
    """One JSON body of such events."""
    return msgspec.json.encode(make_events(count, seed, now, span))


def _event(chance: random.Random, provider: str, model: str, now: datetime, seconds: int) -> dict[str, Any]:
    total_in = chance.randrange(50, 20_000)
    total_out = chance.randrange(1, 2_000)
    event: dict[str, Any] = {
        "event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "time": clock.rfc3339(now - timedelta(seconds=chance.randrange(seconds))),
        "provider": provider,
        "model": model,
        "operation": chance.choice(("chat", "summarise", "extract", "search")),
        "project_id": f"project-{chance.randrange(12)}",
        "user_id": f"user-{int(chance.paretovariate(1.1)) % 20_000}",
        "session_id": f"session-{chance.getrandbits(40):010x}",
        "input_tokens": total_in,
        "output_tokens": total_out,
        "latency_ms": round(chance.lognormvariate(7, 0.8), 1),
        "tags": {
            "team": f"team-{chance.randrange(9)}",
            "feature": chance.choice(("answers", "drafts", "review")),
        },
    }
    if chance.random() < 0.4:
        event["cached_tokens"] = chance.randrange(total_in)
    if chance.random() < 0.2:
        event["reasoning_tokens"] = chance.randrange(total_out)
    if chance.random() < 0.3:
        event["metadata"] = {"ticket": chance.randrange(10**6), "locale": chance.choice(("en", "de", "fr"))}
    if chance.random() < 0.02:
        event |= {"status": "error", "error_code": "rate_limited"}
    return event
