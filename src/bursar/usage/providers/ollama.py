"""Ollama's own usage: `prompt_eval_count` and `eval_count` in the last line of an answer.

Its OpenAI-compatible endpoint is read as OpenAI's. A prompt that the runner still held is evaluated
without being counted, and Ollama leaves the field out: what it says is what it computed. Nobody bills an
answer of one's own machine; what it costs is for a price or a billing rule of one's own to say.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md (`prompt_eval_count`: number of tokens in the
prompt; `eval_count`: number of tokens in the response).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar.usage.providers.chunks import keep, object_in, text_in
from bursar.usage.providers.counts import Counts, usage_section
from bursar.usage.providers.provider import Family, Fold, Provider
from bursar.usage.providers.provider_usage import ProviderUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.usage.providers.provider import Chunk

COUNTS = ("prompt_eval_count", "eval_count")


def read_ollama_usage(usage: Mapping[str, Any]) -> ProviderUsage:
    """The units of an answer by Ollama's own API.

    Raises:
        Invalid: counts that can't be, with every reason.
    """
    counts, top = Counts(), usage_section(usage)
    units = {
        "input_text": counts.number(top, "prompt_eval_count"),
        "output_text": counts.number(top, "eval_count"),
    }
    return ProviderUsage(counts.checked(units))


def _is_own(usage: Mapping[str, Any]) -> bool:
    return any(name in usage for name in COUNTS)


def _api_of(body: Mapping[str, Any]) -> str:
    if body.get("done") is not True and not _is_own(body):
        return ""
    if "embeddings" in body:
        return "embed"
    return "chat" if "message" in body else "generate"


def _answer_of(body: Mapping[str, Any], _headers: Mapping[str, str]) -> dict[str, Any]:
    """The answer under the usual names, without its id: one of a thousand, it names no answer."""
    usage = {name: body[name] for name in COUNTS if name in body}
    answer = {name: value for name, value in body.items() if name != "id"}
    return {**answer, "usage": usage} if usage else answer


def _take_line(answer: Chunk, chunk: Chunk) -> bool:
    keep(answer, chunk, "model", "created_at", "error", *COUNTS)
    return chunk.get("done") is True


def _line_text(chunk: Chunk) -> str:
    message = object_in(chunk.get("message"))
    parts = (chunk.get("response"), chunk.get("thinking"), message.get("content"), message.get("thinking"))
    return "".join(text_in(part) for part in parts)


OLLAMA = Provider(
    name="ollama",
    families=(
        Family(
            name="ollama",
            shape='{"prompt_eval_count", "eval_count"} (Ollama)',
            recognises=_is_own,
            read=read_ollama_usage,
        ),
    ),
    folds=(
        Fold(
            api="chat",
            recognises=lambda chunk: "done" in chunk and ("message" in chunk or "response" in chunk),
            take=_take_line,
            text_of=_line_text,
        ),
    ),
    api_of=_api_of,
    answer_of=_answer_of,
)
