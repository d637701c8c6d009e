"""Cohere's usage: what is billed, beside all that the model saw.

`tokens` has every token, Cohere's own preamble too; `billed_units` has those that are billed, fewer, and
they are what counts here. `cached_tokens` counts in `tokens`, not in what is billed (a recorded answer has
2,928 cached and 2,406 billed), and the price list knows no price of its own for them. The second chat API
puts both under `usage`, the first and embeddings and rerank under `meta`. No answer names its model.

Sources: types `Usage`, `ApiMeta`, `ApiMetaBilledUnits` of the cohere SDK 5, and recorded answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar.usage.providers.chunks import keep, object_in, starting, text_in
from bursar.usage.providers.counts import Counts, usage_section
from bursar.usage.providers.provider import Family, Fold, Provider
from bursar.usage.providers.provider_usage import ProviderUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.usage.providers.provider import Chunk

NOT_BILLED_APART = "cached_tokens_billed_as_input"
TAKEN_AS_BILLED = "all_tokens_taken_as_billed"
FIRST_API_EVENTS = ("stream-start", "text-generation", "tool-calls", "search-", "citation-", "stream-end")
SECOND_API_EVENTS = ("message-start", "content-", "tool-", "citation-", "message-end")


def read_cohere_usage(usage: Mapping[str, Any]) -> ProviderUsage:
    """The disjoint units that Cohere bills; a search is a search unit, also that of a rerank.

    Raises:
        Invalid: counts that can't be, with every reason.
    """
    counts, top = Counts(), usage_section(usage)
    notes: list[str] = []
    billed = counts.section(top, "billed_units")
    if not billed.values:
        billed = counts.section(top, "tokens")
        notes.append(TAKEN_AS_BILLED)
    if counts.number(top, "cached_tokens"):
        notes.append(NOT_BILLED_APART)
    units = {
        "input_text": counts.number(billed, "input_tokens"),
        "input_image": counts.number(billed, "image_tokens"),
        "output_text": counts.number(billed, "output_tokens"),
        "searches": counts.number(billed, "search_units"),
        "images": counts.number(billed, "images"),
        "requests": counts.number(billed, "classifications"),
    }
    return ProviderUsage(units=counts.checked(units), notes=tuple(notes))


def _api_of(body: Mapping[str, Any]) -> str:
    if "billed_units" in object_in(body.get("usage")):
        return "chat_v2"
    if "billed_units" not in object_in(body.get("meta")):
        return ""
    if "embeddings" in body:
        return "embed"
    return "rerank" if "results" in body else "chat_v1"


def _answer_of(body: Mapping[str, Any], _headers: Mapping[str, str]) -> dict[str, Any]:
    """The answer under the usual names; an error is a bare message."""
    answer: dict[str, Any] = dict(body)
    meta = object_in(body.get("meta"))
    if "billed_units" in meta or "tokens" in meta:
        answer["usage"] = {
            name: meta[name] for name in ("billed_units", "tokens", "cached_tokens") if name in meta
        }
    answer["id"] = body.get("id") or body.get("response_id") or body.get("generation_id")
    message = body.get("message")
    if isinstance(message, str) and "usage" not in answer:
        answer["error"] = {"message": message}
    return answer


def _take_first_api(answer: Chunk, chunk: Chunk) -> bool:
    """The first chat API: the answer comes whole at the end."""
    keep(answer, chunk, "generation_id")
    response = object_in(chunk.get("response"))
    if response:
        answer.update(response)
    return chunk.get("event_type") == "stream-end"


def _take_second_api(answer: Chunk, chunk: Chunk) -> bool:
    """The second chat API: the start has the id, the end the usage."""
    if chunk.get("type") == "message-start":
        answer["id"] = chunk.get("id")
    usage = object_in(object_in(chunk.get("delta")).get("usage"))
    if usage:
        answer["usage"] = usage
    return chunk.get("type") == "message-end"


def _second_api_text(chunk: Chunk) -> str:
    message = object_in(object_in(chunk.get("delta")).get("message"))
    function = object_in(object_in(message.get("tool_calls")).get("function"))
    said = (
        object_in(message.get("content")).get("text"),
        message.get("tool_plan"),
        function.get("arguments"),
    )
    return "".join(text_in(part) for part in said)


COHERE = Provider(
    name="cohere",
    families=(
        Family(
            name="cohere",
            shape='{"billed_units": {"input_tokens", …}} (Cohere)',
            recognises=lambda usage: "billed_units" in usage or isinstance(usage.get("tokens"), dict),
            read=read_cohere_usage,
        ),
    ),
    folds=(
        Fold(
            api="chat_v1",
            recognises=starting("event_type", *FIRST_API_EVENTS),
            take=_take_first_api,
            text_of=lambda chunk: text_in(chunk.get("text")),
        ),
        Fold(
            api="chat_v2",
            recognises=starting("type", *SECOND_API_EVENTS),
            take=_take_second_api,
            text_of=_second_api_text,
        ),
    ),
    api_of=_api_of,
    answer_of=_answer_of,
)
