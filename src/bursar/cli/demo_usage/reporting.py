"""How a call's usage is written into its event, in each of the forms that Bursar takes.

The providers' own objects are written as the providers do: OpenAI and Google count cached tokens
inside the prompt, Anthropic beside it; Google counts thoughts beside the answer, OpenAI inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_never

from bursar.cli.demo_usage.workloads import Form

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Tokens:
    """Disjoint token counts of one call."""

    uncached: int = 0
    cache_read: int = 0
    cache_write: int = 0
    answer: int = 0
    reasoning: int = 0

    @property
    def prompt(self) -> int:
        """The whole prompt."""
        return self.uncached + self.cache_read + self.cache_write

    @property
    def output(self) -> int:
        """Everything generated."""
        return self.answer + self.reasoning


def usage_fields(form: Form, tokens: Tokens) -> dict[str, Any]:
    """The fields of an event that say what the call used."""
    match form:
        case Form.TOTALS:
            return _totals(tokens)
        case Form.UNITS:
            return {"units": _units(tokens)}
        case Form.OPENAI_CHAT | Form.OPENAI_RESPONSES | Form.ANTHROPIC | Form.GEMINI:
            return {"usage": _OBJECTS[form](tokens)}
        case _:
            assert_never(form)


def _totals(tokens: Tokens) -> dict[str, Any]:
    fields = {"input_tokens": tokens.prompt, "output_tokens": tokens.output}
    if tokens.cache_read:
        fields["cached_tokens"] = tokens.cache_read
    return fields


def _units(tokens: Tokens) -> dict[str, int]:
    units = {
        "input_text": tokens.uncached + tokens.cache_write,
        "cache_read_text": tokens.cache_read,
        "output_text": tokens.answer,
        "output_reasoning": tokens.reasoning,
    }
    return {name: count for name, count in units.items() if count} or {"input_text": 0}


def _openai_chat(tokens: Tokens) -> dict[str, Any]:
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.prompt + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning, "audio_tokens": 0},
    }


def _openai_responses(tokens: Tokens) -> dict[str, Any]:
    return {
        "input_tokens": tokens.prompt,
        "input_tokens_details": {"cached_tokens": tokens.cache_read},
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.prompt + tokens.output,
    }


def _anthropic(tokens: Tokens) -> dict[str, Any]:
    return {
        "input_tokens": tokens.uncached,
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.cache_write,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": tokens.output,
        "service_tier": "standard",
    }


def _gemini(tokens: Tokens) -> dict[str, Any]:
    usage: dict[str, Any] = {
        "promptTokenCount": tokens.prompt,
        "candidatesTokenCount": tokens.answer,
        "totalTokenCount": tokens.prompt + tokens.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens.prompt}],
    }
    if tokens.cache_read:
        usage["cachedContentTokenCount"] = tokens.cache_read
        usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": tokens.cache_read}]
    if tokens.reasoning:
        usage["thoughtsTokenCount"] = tokens.reasoning
    return usage


_OBJECTS: dict[Form, Callable[[Tokens], dict[str, Any]]] = {
    Form.OPENAI_CHAT: _openai_chat,
    Form.OPENAI_RESPONSES: _openai_responses,
    Form.ANTHROPIC: _anthropic,
    Form.GEMINI: _gemini,
}
