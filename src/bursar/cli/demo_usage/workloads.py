"""What the invented company does with AI: its models, its workloads, its people.

Every priced model is a real one whose price the price book knows; `acme/helpdesk-7b` is the
company's own and has none, so that the demo also shows what can't be priced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from bursar.cli.demo_usage.rhythm import Rhythm


class Form(StrEnum):
    """The form in which a workload reports its usage; Bursar takes them all."""

    OPENAI_CHAT = "openai_chat"
    OPENAI_RESPONSES = "openai_responses"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    TOTALS = "totals"
    UNITS = "units"


@dataclass(frozen=True, slots=True)
class Model:
    """A model as it is called, and how quickly it answers."""

    provider: str
    name: str
    form: Form
    first_token_ms: int = 400
    ms_per_output_token: float = 9.0
    region: str | None = None
    batch: float = 0.0
    """Part of the calls that go through its provider's batch API."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One thing the company does again and again."""

    operation: str
    project_id: str
    share: float
    """Part of all events, relative to the other workloads."""
    rhythm: Rhythm
    models: tuple[tuple[Model, float], ...]
    """The models it calls, each with its weight."""
    input_tokens: int = 0
    """Median of the whole prompt, cached part included."""
    output_tokens: int = 0
    cached: float = 0.0
    """Average part of the prompt that comes from a cache."""
    reasoning: float = 0.0
    """Average part of the output that is reasoning."""
    people: int = 40
    error_rate: float = 0.012
    service_type: str = "llm_service"
    metered: str | None = None
    """The unit it is billed by, where that is not tokens."""
    metered_median: int = 0
    reported_price: tuple[int, str] | None = None
    """What the company pays per unit, in millionths of a currency: reported with the event."""
    tags: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    prompt_versions: tuple[str, ...] = ()


GPT_MINI = Model("openai", "gpt-5.4-mini", Form.OPENAI_CHAT, 310, 5.5)
GPT_SOL = Model("openai", "gpt-5.6-sol", Form.OPENAI_RESPONSES, 900, 14.0)
EMBEDDING = Model("openai", "text-embedding-3-small", Form.TOTALS, 90, 0.0)
WHISPER = Model("openai", "whisper-1", Form.UNITS, 1_900, 0.0)
HAIKU = Model("anthropic", "claude-haiku-4-5", Form.ANTHROPIC, 350, 6.0)
SONNET = Model("anthropic", "claude-sonnet-5", Form.ANTHROPIC, 650, 11.0)
OPUS = Model("anthropic", "claude-opus-4-8", Form.ANTHROPIC, 1_100, 17.0)
FLASH = Model("google", "gemini-3.5-flash", Form.GEMINI, 280, 4.5, "europe-west4")
GEMINI_PRO = Model("google", "gemini-2.5-pro", Form.GEMINI, 1_400, 10.0, "europe-west4", batch=0.4)
DEEPSEEK = Model("deepseek", "deepseek-chat", Form.TOTALS, 800, 16.0)
MISTRAL = Model("mistral", "mistral-small-latest", Form.UNITS, 260, 6.5)
OCR = Model("mistral", "mistral-ocr-latest", Form.UNITS, 1_300, 0.0)
OWN_MODEL = Model("acme", "acme/helpdesk-7b", Form.UNITS, 180, 8.0)
CONTRACT_READER = Model("docreader", "contracts-v3", Form.UNITS, 2_600, 0.0)
MAPS = Model("maps", "geocode", Form.UNITS, 60, 0.0)

AGENT = Workload(
    "run_agent",
    "platform",
    3,
    Rhythm.STEADY,
    ((OPUS, 1),),
    input_tokens=22_000,
    output_tokens=650,
    cached=0.82,
    people=6,
    tags={"team": ("platform",), "agent": ("triage", "upgrade", "refactor")},
    prompt_versions=("agent-7",),
)

WORKLOADS: tuple[Workload, ...] = (
    Workload(
        "answer_ticket",
        "support",
        27,
        Rhythm.EVENING,
        ((GPT_MINI, 6), (HAIKU, 3), (MISTRAL, 1)),
        input_tokens=2_400,
        output_tokens=260,
        cached=0.5,
        people=120,
        tags={"team": ("support",), "channel": ("chat", "email", "phone")},
        prompt_versions=("support-12", "support-13"),
    ),
    Workload(
        "classify_ticket",
        "support",
        8,
        Rhythm.EVENING,
        ((OWN_MODEL, 1),),
        input_tokens=600,
        output_tokens=12,
        people=120,
        tags={"team": ("support",)},
    ),
    Workload(
        "answer_question",
        "search",
        17,
        Rhythm.OFFICE,
        ((FLASH, 4), (GPT_MINI, 1)),
        input_tokens=5_200,
        output_tokens=340,
        cached=0.2,
        reasoning=0.35,
        people=90,
        error_rate=0.02,
        tags={"team": ("search",), "surface": ("web", "app")},
        prompt_versions=("ask-4",),
    ),
    Workload(
        "embed_documents",
        "search",
        9,
        Rhythm.NIGHTLY,
        ((EMBEDDING, 1),),
        input_tokens=9_000,
        people=2,
        error_rate=0.004,
        tags={"team": ("search",)},
    ),
    Workload(
        "review_code",
        "platform",
        10,
        Rhythm.OFFICE,
        ((SONNET, 3), (GPT_SOL, 2)),
        input_tokens=14_000,
        output_tokens=900,
        cached=0.6,
        reasoning=0.4,
        people=35,
        tags={"team": ("platform",), "repository": ("api", "web", "mobile", "infra")},
        prompt_versions=("review-2", "review-3"),
    ),
    AGENT,
    Workload(
        "write_copy",
        "growth",
        7,
        Rhythm.OFFICE,
        ((SONNET, 2), (GPT_MINI, 1), (DEEPSEEK, 1)),
        input_tokens=1_500,
        output_tokens=820,
        people=18,
        tags={"team": ("growth",), "campaign": ("autumn", "launch", "newsletter")},
    ),
    Workload(
        "summarise_paper",
        "research",
        5,
        Rhythm.NIGHTLY,
        ((GEMINI_PRO, 3), (DEEPSEEK, 2)),
        input_tokens=48_000,
        output_tokens=1_100,
        cached=0.1,
        reasoning=0.3,
        people=9,
        error_rate=0.03,
        tags={"team": ("research",)},
    ),
    Workload(
        "transcribe_call",
        "support",
        4,
        Rhythm.OFFICE,
        ((WHISPER, 1),),
        people=25,
        metered="seconds",
        metered_median=260,
        tags={"team": ("support",), "channel": ("phone",)},
    ),
    Workload(
        "read_invoice",
        "documents",
        5,
        Rhythm.OFFICE,
        ((OCR, 1),),
        people=12,
        service_type="document_processor",
        metered="pages",
        metered_median=4,
        tags={"team": ("finance",)},
    ),
    Workload(
        "read_contract",
        "documents",
        2,
        Rhythm.OFFICE,
        ((CONTRACT_READER, 1),),
        people=8,
        service_type="document_processor",
        metered="pages",
        metered_median=18,
        reported_price=(12_000, "EUR"),
        tags={"team": ("legal",)},
    ),
    Workload(
        "geocode_address",
        "logistics",
        3,
        Rhythm.STEADY,
        ((MAPS, 1),),
        people=3,
        error_rate=0.006,
        service_type="api_service",
        metered="requests",
        metered_median=1,
        reported_price=(4_000, "USD"),
        tags={"team": ("logistics",)},
    ),
)

RUNAWAY_USER = "svc-refactor-agent"
RUNAWAY_TAGS = {"team": "platform", "agent": "refactor"}
RUNAWAY_INPUT_TOKENS = 60_000
"""Its conversation never ends, so each call repeats a longer prompt."""

FAILURES: tuple[tuple[str, int, str], ...] = (
    ("rate_limit_exceeded", 5, "The provider asks to slow down."),
    ("overloaded", 3, "The provider has no capacity right now."),
    ("timeout", 2, "No answer within the client's limit."),
    ("context_length_exceeded", 1, "The prompt is longer than the model's context."),
)
"""Error code, weight, and text."""
