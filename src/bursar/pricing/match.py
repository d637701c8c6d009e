"""Whose price list applies: from the provider and model that an event names to an entry of the book.

Providers have many spellings (SDKs, OpenTelemetry, gateways); the table below names each that is
understood, and there is no guessing from parts of a name. Where no provider is named it is
inferred from the model by the listed rules, of which each stands for model names that one seller
only uses. Models that many sell (Llama, GPT-OSS, DeepSeek R1) are not inferred.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from bursar.pricing.spellings import FINE_TUNED, RESOURCE_PATH, spellings_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.pricing.entries import ModelEntry, NameRule, PriceData, Seller
    from bursar.pricing.spellings import Spelling


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


@dataclass(frozen=True, slots=True)
class Step:
    """One rule that was applied on the way from a call's words to an entry."""

    rule: str
    """Such as `provider_spelling`, `provider_inferred:claude`, `path_removed`, `name:starts_with:gpt-5`."""
    result: str
    """What it led to: a provider, a name, or an entry."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that a provider sells, by an entry of the book."""

    provider: Seller
    """Who bills."""
    owner: Seller
    """Whose entry it is: the provider itself, or one whose prices it charges."""
    model: ModelEntry
    rule: str
    """How it was found, such as `provider_inferred:claude` or `provider_named+prices_of:openai`."""
    steps: tuple[Step, ...] = ()
    """Every rule that was applied, in order; more of them than a card tells."""


def find_offer(data: PriceData, provider: str | None, model: str | None) -> Offer | str:
    """The entry for a provider and model as a call names them, or the reason why there is none.

    Reasons: `no_model`, `unknown_provider`, `unknown_model`, `no_price_for_fine_tune`.
    """
    name = (model or "").strip().lower()
    if not name:
        return "no_model"
    seller = find_provider(data, provider, name)
    if seller is None:
        return "unknown_provider"
    provider_id, rule, plain = seller
    billing = data.providers[provider_id]
    steps = _provider_steps(provider, name, seller)
    for spelling in spellings_of(plain, provider_id, _names_of(provider_id)):
        for owner_id in (provider_id, *billing.entry.fallbacks):
            owner = data.providers[owner_id]
            found = owner.models.find(spelling.name)
            if found is None or not _is_meant(spelling, *found):
                continue
            entry, matched = found
            rules = [rule, *spelling.marks, *([] if owner is billing else [f"prices_of:{owner_id}"])]
            steps += [Step(one, spelling.name) for one in (*spelling.steps, *rules[1:])]
            steps.append(Step(f"name:{matched.described()}", f"{owner_id}/{entry.id}"))
            return Offer(billing, owner, entry, "+".join(rules), tuple(steps))
    return "no_price_for_fine_tune" if plain.startswith(FINE_TUNED) else "unknown_model"


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
    plain = RESOURCE_PATH.sub("", model, count=1)
    for rule, inferred, begins in PROVIDER_BY_MODEL:
        if inferred in data.providers and begins.match(plain):
            return inferred, f"provider_inferred:{rule}", model
    return None


def provider_id(data: PriceData, name: str) -> str | None:
    """The book's id of a provider, from any lower-case spelling that is understood."""
    known = PROVIDER_ALIASES.get(name, name)
    return known if known in data.providers else None


def plain_provider(name: str) -> str:
    """A provider's id from any spelling that is understood; another name as it is, in lower case."""
    lower = name.strip().lower()
    return PROVIDER_ALIASES.get(lower, lower)


@cache
def _names_of(provider: str) -> frozenset[str]:
    """A provider's id and every spelling of it."""
    return frozenset({provider, *(name for name, known in PROVIDER_ALIASES.items() if known == provider)})


def _provider_steps(provider: str | None, model: str, found: tuple[str, str, str]) -> list[Step]:
    named = (provider or "").strip().lower()
    known, rule, plain = found
    steps = [Step(f"gateway:{named}", "the model says who bills")] if named in GATEWAYS else []
    if rule == "provider_named" and named != known:
        steps.append(Step(f"provider_spelling:{named}", known))
    else:
        steps.append(Step(rule, known))
    if plain != model:
        steps.append(Step("provider_prefix_removed", plain))
    return steps


def _is_meant(spelling: Spelling, entry: ModelEntry, matched: NameRule) -> bool:
    """Whether a rule that a name meets was made for such names.

    Rules for a model also fit names that contain the model's: a fine-tuned model costs more than what
    it was tuned from, so only a rule that speaks of fine-tuned models is one for them. A snapshot that
    nobody listed is taken for the model only where that very name is listed.
    """
    if spelling.name.startswith(FINE_TUNED):
        return FINE_TUNED in matched.described()
    return not spelling.is_snapshot or matched.kind == "equals" or entry.id == spelling.name
