"""Bills worked out by hand from published price pages, line by line, for three families of providers.

Every amount in the table was computed with pencil and paper from the tariff that its row states and
links to, not copied from a program. Prices in `tariff` are US dollars for a million tokens, unless
said otherwise. The prices of past days stand in the announcements that are linked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bursar.money import format_picos
from bursar.pricing.explain import explain_rating
from bursar.pricing.rating import CostStatus, PricingSubject, rate_usage

if TYPE_CHECKING:
    from bursar.pricing.book import PriceBook

OPENAI = "https://developers.openai.com/api/docs/pricing"
O3_ANNOUNCED = "https://community.openai.com/t/o3-is-80-cheaper-and-introducing-o3-pro/1284925"
ANTHROPIC = "https://platform.claude.com/docs/en/about-claude/pricing"
ONE_MILLION = "https://claude.com/blog/1m-context-ga"
RESIDENCY = "https://platform.claude.com/docs/en/build-with-claude/data-residency"
GEMINI = "https://ai.google.dev/gemini-api/docs/pricing"
NOVEMBER = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Bill:
    """One call, the tariff it falls under, and what it costs by hand."""

    what: str
    source: str
    tariff: str
    provider: str
    model: str
    lines: dict[str, tuple[int, str]]
    """Unit to its quantity in steps and its amount."""
    total: str
    time: datetime = NOVEMBER
    context_tokens: int | None = None
    way: dict[str, str | bool] = field(default_factory=dict[str, "str | bool"])

    def __str__(self) -> str:
        return self.what


BILLS = [
    Bill(
        "o3 on the last day of its first price",
        O3_ANNOUNCED,
        "input 10, output 40",
        "openai",
        "o3-2025-04-16",
        {"input_text": (12_345, "0.12345"), "output_text": (678, "0.02712")},
        "0.15057",
        time=datetime(2025, 6, 9, 23, 59, 59, 999_999, tzinfo=UTC),
    ),
    Bill(
        "o3 from the first moment of its cut price",
        O3_ANNOUNCED,
        "input 2, output 8",
        "openai",
        "o3-2025-04-16",
        {"input_text": (12_345, "0.02469"), "output_text": (678, "0.005424")},
        "0.030114",
        time=datetime(2025, 6, 10, tzinfo=UTC),
    ),
    Bill(
        "gpt-4o with cached input",
        OPENAI,
        "input 2.50, cached 1.25, output 10",
        "openai",
        "gpt-4o-2024-08-06",
        {
            "input_text": (1_000, "0.0025"),
            "cache_read_text": (3_000, "0.00375"),
            "output_text": (200, "0.002"),
        },
        "0.00825",
    ),
    Bill(
        "gpt-5 flex, reasoning billed as output",
        OPENAI,
        "flex: input 0.625, cached 0.0625, output 5",
        "openai",
        "gpt-5",
        {
            "input_text": (8_000, "0.005"),
            "cache_read_text": (16_000, "0.001"),
            "output_text": (300, "0.0015"),
            "output_reasoning": (1_200, "0.006"),
        },
        "0.0135",
        way={"service_tier": "flex"},
    ),
    Bill(
        "gpt-5 priority",
        OPENAI,
        "priority: input 2.50, cached 0.25, output 20",
        "openai",
        "gpt-5",
        {
            "input_text": (8_000, "0.02"),
            "cache_read_text": (16_000, "0.004"),
            "output_text": (300, "0.006"),
            "output_reasoning": (1_200, "0.024"),
        },
        "0.054",
        way={"service_tier": "priority"},
    ),
    Bill(
        "gpt-4o in a batch, whose cached input keeps the standard price",
        OPENAI,
        "batch: input 1.25, output 5; cached 1.25",
        "openai",
        "gpt-4o",
        {
            "input_text": (10_000, "0.0125"),
            "cache_read_text": (2_000, "0.0025"),
            "output_text": (1_000, "0.005"),
        },
        "0.02",
        way={"batch": True, "service_tier": "default"},
    ),
    Bill(
        "gpt-audio with speech both ways",
        OPENAI,
        "text 2.50 in, 10 out; audio 32 in, 64 out",
        "openai",
        "gpt-audio",
        {
            "input_text": (150, "0.000375"),
            "input_audio": (600, "0.0192"),
            "output_text": (80, "0.0008"),
            "output_audio": (400, "0.0256"),
        },
        "0.045975",
    ),
    Bill(
        "gpt-5.6 with a prompt of just 272,000 tokens",
        OPENAI,
        "input 4, cached 0.40, output 20",
        "openai",
        "gpt-5.6-sol",
        {
            "input_text": (200_000, "0.8"),
            "cache_read_text": (72_000, "0.0288"),
            "output_text": (1_000, "0.02"),
        },
        "0.8488",
    ),
    Bill(
        "gpt-5.6 with one token more, which prices every token anew",
        OPENAI,
        "over 272,000: input 8, cached 0.80, output 30",
        "openai",
        "gpt-5.6-sol",
        {
            "input_text": (200_000, "1.6"),
            "cache_read_text": (72_001, "0.0576008"),
            "output_text": (1_000, "0.03"),
        },
        "1.6876008",
    ),
    Bill(
        "gpt-5.4 with a long prompt",
        OPENAI,
        "over 272,000: input 5, output 22.50",
        "openai",
        "gpt-5.4",
        {"input_text": (300_000, "1.5"), "output_text": (10_000, "0.225")},
        "1.725",
    ),
    Bill(
        "gpt-5.6 luna writing its cache",
        OPENAI,
        "input 0.20, cache write 0.25, output 1.20",
        "openai",
        "gpt-5.6-luna",
        {
            "input_text": (1_000, "0.0002"),
            "cache_write_5m": (4_012, "0.001003"),
            "output_text": (500, "0.0006"),
        },
        "0.001803",
    ),
    Bill(
        "whisper by the second",
        OPENAI,
        "0.006 a minute",
        "openai",
        "whisper-1",
        {"seconds": (61_500_000, "0.00615")},
        "0.00615",
    ),
    Bill(
        "Sonnet 4.5 with both kinds of cache write, reads and a search",
        ANTHROPIC,
        "input 3, 5-minute write 3.75, 1-hour write 6, read 0.30, output 15; 10 for 1,000 searches",
        "anthropic",
        "claude-sonnet-4-5-20250929",
        {
            "input_text": (1_000, "0.003"),
            "cache_write_5m": (2_000, "0.0075"),
            "cache_write_1h": (4_000, "0.024"),
            "cache_read_text": (10_000, "0.003"),
            "output_text": (500, "0.0075"),
            "searches": (1, "0.01"),
        },
        "0.055",
    ),
    Bill(
        "Sonnet 4.5 with a prompt of more than 200,000 tokens",
        ANTHROPIC,
        "over 200,000: input 6, read 0.60, output 22.50",
        "anthropic",
        "claude-sonnet-4-5-20250929",
        {
            "input_text": (150_000, "0.9"),
            "cache_read_text": (60_000, "0.036"),
            "output_text": (2_000, "0.045"),
        },
        "0.981",
        time=datetime(2025, 10, 15, tzinfo=UTC),
    ),
    Bill(
        "Sonnet 4.6 on the last day of the long-context price",
        ONE_MILLION,
        "over 200,000: input 6, output 22.50",
        "anthropic",
        "claude-sonnet-4-6",
        {"input_text": (250_000, "1.5"), "output_text": (1_000, "0.0225")},
        "1.5225",
        time=datetime(2026, 3, 12, 23, 59, 59, tzinfo=UTC),
    ),
    Bill(
        "Sonnet 4.6 from the day that the long-context price was removed",
        ONE_MILLION,
        "input 3, output 15 at any size",
        "anthropic",
        "claude-sonnet-4-6",
        {"input_text": (250_000, "0.75"), "output_text": (1_000, "0.015")},
        "0.765",
        time=datetime(2026, 3, 13, tzinfo=UTC),
    ),
    Bill(
        "Opus 4.8 in fast mode, searches at their usual price",
        f"{ANTHROPIC}#fast-mode-pricing",
        "fast: input 10, read 1, output 50; 10 for 1,000 searches",
        "anthropic",
        "claude-opus-4-8",
        {
            "input_text": (2_000, "0.02"),
            "cache_read_text": (5_000, "0.005"),
            "output_text": (300, "0.015"),
            "searches": (2, "0.02"),
        },
        "0.06",
        way={"speed": "fast"},
    ),
    Bill(
        "Opus 4.5 in a batch",
        "https://platform.claude.com/docs/en/build-with-claude/batch-processing#pricing",
        "batch: input 2.50, output 12.50",
        "anthropic",
        "claude-opus-4-5",
        {"input_text": (100_000, "0.25"), "output_text": (10_000, "0.125")},
        "0.375",
        way={"service_tier": "batch"},
    ),
    Bill(
        "Opus 4.6 kept in the United States, tokens at 1.1 times their price",
        RESIDENCY,
        "input 5 × 1.1, output 25 × 1.1; 10 for 1,000 searches",
        "anthropic",
        "claude-opus-4-6",
        {
            "input_text": (1_000, "0.0055"),
            "output_text": (1_000, "0.0275"),
            "searches": (1, "0.01"),
        },
        "0.043",
        way={"region": "us"},
    ),
    Bill(
        "Gemini 2.5 Pro with a prompt of just 200,000 tokens, thoughts billed as output",
        GEMINI,
        "input 1.25, cached 0.125, output 10",
        "google",
        "gemini-2.5-pro",
        {
            "input_text": (150_000, "0.1875"),
            "cache_read_text": (50_000, "0.00625"),
            "output_text": (500, "0.005"),
            "output_reasoning": (1_500, "0.015"),
        },
        "0.21375",
    ),
    Bill(
        "Gemini 2.5 Pro with a longer prompt",
        GEMINI,
        "over 200,000: input 2.50, output 15",
        "google",
        "gemini-2.5-pro",
        {
            "input_text": (250_000, "0.625"),
            "output_text": (500, "0.0075"),
            "output_reasoning": (2_000, "0.03"),
        },
        "0.6625",
    ),
    Bill(
        "Gemini 2.5 Flash listening, partly from its cache",
        GEMINI,
        "text 0.30, audio 1, cached audio 0.10, output 2.50",
        "google",
        "gemini-2.5-flash",
        {
            "input_text": (20, "0.000006"),
            "input_audio": (3_200, "0.0032"),
            "cache_read_audio": (1_000, "0.0001"),
            "output_text": (40, "0.0001"),
        },
        "0.003406",
    ),
    Bill(
        "Gemini 2.5 Flash Image drawing one picture",
        GEMINI,
        "input 0.30, image output 30",
        "google",
        "gemini-2.5-flash-image",
        {"input_text": (10, "0.000003"), "output_image": (1_290, "0.0387")},
        "0.038703",
    ),
    Bill(
        "a part of a longer conversation, priced by the size of the whole prompt",
        GEMINI,
        "over 200,000: input 2.50, output 15",
        "google",
        "gemini-2.5-pro",
        {"input_text": (1_000, "0.0025"), "output_text": (100, "0.0015")},
        "0.004",
        context_tokens=200_001,
    ),
]


@pytest.mark.parametrize("bill", BILLS, ids=str)
def test_a_bill_is_what_the_price_page_says(book: PriceBook, bill: Bill) -> None:
    subject = PricingSubject(
        bill.provider,
        bill.model,
        bill.time,
        service_tier=str(bill.way.get("service_tier", "default")),
        batch=bool(bill.way.get("batch", False)),
        speed=str(bill.way.get("speed", "standard")),
        region=str(bill.way.get("region", "global")),
        context_tokens=bill.context_tokens,
    )
    units = {unit: steps for unit, (steps, _) in bill.lines.items()}

    rating = rate_usage(book, subject, units)

    assert (rating.status, rating.reason, rating.currency) == (CostStatus.PRICED, None, "USD")
    assert rating.picos is not None
    assert format_picos(rating.picos) == bill.total
    explained = explain_rating(rating, units)
    assert {line.unit: line.amount for line in explained.lines} == {
        unit: amount for unit, (_, amount) in bill.lines.items()
    }
    assert explained.total == bill.total
