"""Every provider whose answers are understood: one file each, one line here.

The most telling shapes stand first; OpenAI's stand last, because everybody imitates them. How to add one:
docs/how-to/add-a-provider.md.
"""

from __future__ import annotations

from bursar.usage.providers.anthropic_answers import ANTHROPIC
from bursar.usage.providers.bedrock_answers import AWS
from bursar.usage.providers.cohere import COHERE
from bursar.usage.providers.deepseek import DEEPSEEK
from bursar.usage.providers.embedders import VOYAGE
from bursar.usage.providers.gemini_answers import GOOGLE
from bursar.usage.providers.groq import GROQ
from bursar.usage.providers.mistral import MISTRAL
from bursar.usage.providers.ollama import OLLAMA
from bursar.usage.providers.open_model_hosts import HUGGINGFACE, TOGETHER
from bursar.usage.providers.openai_answers import OPENAI
from bursar.usage.providers.openrouter import OPENROUTER
from bursar.usage.providers.perplexity import PERPLEXITY
from bursar.usage.providers.provider import Provider
from bursar.usage.providers.watsonx import WATSONX
from bursar.usage.providers.xai import XAI

PROVIDERS: tuple[Provider, ...] = (
    ANTHROPIC,
    XAI,
    AWS,
    COHERE,
    GOOGLE,
    OLLAMA,
    VOYAGE,
    WATSONX,
    # These answer in OpenAI's shapes, with differences of their own:
    DEEPSEEK,
    GROQ,
    MISTRAL,
    OPENROUTER,
    PERPLEXITY,
    TOGETHER,
    HUGGINGFACE,
    # These without any:
    Provider(name="azure"),
    Provider(name="cerebras"),
    Provider(name="fireworks"),
    Provider(name="github-copilot", labels=("github_copilot", "copilot")),
    Provider(name="jina", labels=("jinaai", "jina_ai")),
    Provider(name="moonshotai", labels=("moonshot", "kimi")),
    Provider(name="snowflake"),
    Provider(name="writer"),
    Provider(name="zai", labels=("z.ai",)),
    OPENAI,
)

FAMILIES = tuple(family for provider in PROVIDERS for family in provider.families)
"""Every kind of usage object, the most telling shape first."""

FOLDS = tuple(fold for provider in PROVIDERS for fold in provider.folds)
"""Every kind of stream, the most telling chunks first."""

_BY_LABEL = {label: provider for provider in PROVIDERS for label in (*provider.labels, provider.name)}


def provider_labelled(label: str) -> Provider | None:
    """The provider that a recording or a caller means by this name, None where none is known by it."""
    return _BY_LABEL.get(label.lower())
