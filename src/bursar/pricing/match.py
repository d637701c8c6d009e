"""Whose price list applies: from the provider and model that an event names to an entry of the book.

Providers have many spellings (SDKs, OpenTelemetry, gateways); the table below names each that is
understood, and there is no guessing from parts of a name. Where no provider is named it is
inferred from the model by the listed rules, of which each stands for model names that one seller
only uses. Models that many sell (Llama, GPT-OSS, DeepSeek R1) are not inferred.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bursar.pricing.prices import PriceData, PricedModel, PricedProvider


def _spellings(**names: str) -> Mapping[str, str]:
    return MappingProxyType({name: provider for provider, text in names.items() for name in text.split()})


PROVIDER_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        **_spellings(
            openai="open_ai open-ai openai.chat openai.responses openai_chat openai-chat openai-responses",
            anthropic="claude anthropic.messages anthropic-messages",
            google="""gemini vertex vertexai vertex_ai vertex-ai vertex_ai_beta google_ai google-ai
                google_ai_studio google-ai-studio google_genai google-genai google_generativeai
                google_generative_ai google.generative-ai google_vertexai google_vertex google-vertex
                google.vertex.chat google-gla gcp.gemini gcp.vertex_ai gcp.gen_ai""",
            azure="""azure_openai azure-openai azureopenai azure_ai azure-ai azure.ai.openai
                azure.ai.inference az.ai.openai az.ai.inference azure_ai_inference azure-openai.chat
                azure_ai_foundry""",
            aws="""bedrock amazon amazon-bedrock amazon_bedrock aws.bedrock aws_bedrock aws-bedrock
                bedrock_converse bedrock-converse aws.bedrock_runtime""",
            mistral="mistral_ai mistralai mistral-ai mistral.chat",
            deepseek="deep_seek deep-seek deepseek_ai deepseek-ai",
            cohere="cohere_chat cohere-chat cohere_ai",
            groq="groqcloud groq_cloud",
            perplexity="perplexity_ai perplexity-ai perplexityai pplx",
            moonshotai="moonshot moonshot_ai moonshot-ai kimi",
            together="together_ai together-ai togetherai",
            fireworks="fireworks_ai fireworks-ai fireworksai",
            openrouter="open_router open-router",
            cerebras="cerebras_ai cerebras-ai",
            voyageai="voyage voyage_ai voyage-ai",
            elevenlabs="eleven_labs eleven-labs",
            minimax="minimax_ai minimax-ai",
            zhipuai="zhipu zhipu_ai zhipu-ai bigmodel",
            zai="z.ai z_ai z-ai",
            cloudflare="workers_ai workers-ai cloudflare_workers_ai cloudflare-workers-ai",
            novita="novita_ai novita-ai",
        ),
        "github_copilot": "github-copilot",
        "copilot": "github-copilot",
        "xai": "x-ai",
        "x_ai": "x-ai",
        "x.ai": "x-ai",
        "grok": "x-ai",
    }
)
"""Other spellings of a provider; the book's own ids are always understood."""

GATEWAYS = frozenset({"litellm", "litellm_proxy"})
"""Names that say how a call was routed, not who bills it: the model's prefix or name decides."""

PROVIDER_BY_MODEL: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    (
        "bedrock_id",
        "aws",
        re.compile(
            r"(?:[a-z]{2,6}(?:-gov)?\.)?(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai|qwen)\.[a-z]"
        ),
    ),
    ("claude", "anthropic", re.compile(r"claude-")),
    ("gemini", "google", re.compile(r"gemini-")),
    (
        "gpt",
        "openai",
        re.compile(
            r"(?:ft:)?(?:gpt-(?!oss)|chatgpt-|o[134](?:-|$)|babbage-002|davinci-002)"
            r"|text-embedding-(?:3-|ada-002)|(?:omni|text)-moderation|whisper-1$|tts-1|codex-mini|computer-use"
        ),
    ),
    ("grok", "x-ai", re.compile(r"grok-")),
    (
        "mistral",
        "mistral",
        re.compile(
            r"(?:labs-)?(?:mistral|ministral|magistral|codestral|devstral|pixtral|voxtral|open-mi[sx]tral)-"
        ),
    ),
    ("command", "cohere", re.compile(r"command-|rerank-")),
    ("deepseek", "deepseek", re.compile(r"deepseek-(?:chat|reasoner|flash|v4)")),
    ("sonar", "perplexity", re.compile(r"sonar(?:-|$)")),
    ("kimi", "moonshotai", re.compile(r"(?:kimi|moonshot)-")),
    ("voyage", "voyageai", re.compile(r"voyage-")),
    ("eleven", "elevenlabs", re.compile(r"eleven_")),
    ("minimax", "minimax", re.compile(r"minimax-m")),
    ("fireworks_path", "fireworks", re.compile(r"accounts/fireworks/")),
    ("workers_path", "cloudflare", re.compile(r"@cf/")),
    ("databricks", "databricks", re.compile(r"databricks-")),
)
"""(rule, provider, beginning of the lower-case model name), tried in this order."""

_RESOURCE_PATH = re.compile(
    r"(?:(?:projects/[^/]+/locations/[^/]+/)?(?:publishers/[^/]+/)?models|arn:aws[a-z-]*:bedrock:[^/]+)/"
)
"""What Gemini, Vertex AI and Bedrock may put before a model's name."""
_COMPACT_DATE = re.compile(r"-(20\d{2})(\d{2})(\d{2})(?=-|:|$)")


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that a provider sells, by an entry of the book."""

    provider: PricedProvider
    """Who bills."""
    owner: PricedProvider
    """Whose entry it is: the provider itself, or one whose prices it charges."""
    model: PricedModel
    rule: str
    """How it was found, such as `provider_inferred:claude` or `provider_named+prices_of:openai`."""


def find_offer(data: PriceData, provider: str | None, model: str | None) -> Offer | str:
    """The entry for a provider and model as an event names them, or the reason why there is none.

    Reasons: `no_model`, `unknown_provider`, `unknown_model`.
    """
    name = (model or "").strip().lower()
    if not name:
        return "no_model"
    seller = find_provider(data, provider, name)
    if seller is None:
        return "unknown_provider"
    provider_id, rule, name = seller
    billing = data.providers[provider_id]
    for spelling in _model_spellings(name, provider_id):
        for owner_id in (provider_id, *billing.fallbacks):
            owner = data.providers[owner_id]
            entry = owner.models.find(spelling)
            if entry is not None:
                borrowed = "" if owner is billing else f"+prices_of:{owner_id}"
                return Offer(billing, owner, entry, rule + borrowed)
    return "unknown_model"


def find_provider(data: PriceData, provider: str | None, model: str) -> tuple[str, str, str] | None:
    """(provider id, rule, model name without a provider's prefix), or None where nobody is known.

    The model is lower-case. A provider that is named and unknown stays unknown: its model may be
    anybody's.
    """
    named = (provider or "").strip().lower()
    if named and named not in GATEWAYS:
        known = provider_id(data, named)
        return (known, "provider_named", model) if known else None
    prefix, _, rest = model.partition("/")
    known = provider_id(data, prefix) if rest else None
    if known:
        return known, "provider_from_model_prefix", rest
    plain = _RESOURCE_PATH.sub("", model, count=1)
    for rule, inferred, begins in PROVIDER_BY_MODEL:
        if inferred in data.providers and begins.match(plain):
            return inferred, f"provider_inferred:{rule}", model
    return None


def provider_id(data: PriceData, name: str) -> str | None:
    """The book's id of a provider, from any lower-case spelling that is understood."""
    known = PROVIDER_ALIASES.get(name, name)
    return known if known in data.providers else None


def _model_spellings(name: str, provider: str) -> Iterator[str]:
    """The name as given, then without a path or the provider's own prefix, then with a dashed date."""
    yield name
    plain = _RESOURCE_PATH.sub("", name, count=1)
    prefix, _, rest = plain.partition("/")
    if rest and PROVIDER_ALIASES.get(prefix, prefix) == provider:
        plain = rest
    if plain != name:
        yield plain
    dashed = _COMPACT_DATE.sub(_with_dashes, plain)
    if dashed != plain:
        yield dashed


def _with_dashes(compact: re.Match[str]) -> str:
    """LiteLLM and OpenRouter write `-20251211` where OpenAI's own names have `-2025-12-11`."""
    year, month, day = compact.groups()
    try:
        return f"-{date(int(year), int(month), int(day)).isoformat()}"
    except ValueError:
        return compact.group()
