"""Google's answers besides usage: which API answers in which shape, and how its streams fold.

Every chunk of a stream repeats the usage so far, so the last one is the usage; none is ever summed. The
usage object is read in `gemini.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar.usage.providers.chunks import keep, object_in, objects_in, starting, text_in
from bursar.usage.providers.gemini import GEMINI_USAGE
from bursar.usage.providers.provider import CallPlace, Fold, Provider, segment_after

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

    from bursar.usage.providers.provider import Chunk


def _api_of(body: Mapping[str, Any]) -> str:
    if "candidates" in body or "usageMetadata" in body or "modelVersion" in body:
        return "generateContent"
    return "interactions" if body.get("object") == "interaction" else ""


def _call_of(url: SplitResult) -> CallPlace:
    """Vertex has the region in its path; both have the model there, followed by `:method`."""
    model, region = (segment_after(url.path, mark) for mark in ("/models/", "/locations/"))
    return CallPlace(model or None, region or None)


def _take_content(answer: Chunk, chunk: Chunk) -> bool:
    """Every chunk repeats the usage so far, so the last one is the usage."""
    keep(answer, chunk, "usageMetadata", "modelVersion", "responseId", "createTime", "error")
    candidates = objects_in(chunk.get("candidates"))
    for candidate in candidates:
        grounding = object_in(candidate.get("groundingMetadata"))
        queries = grounding.get("webSearchQueries")
        if isinstance(queries, list) and queries:
            answer["candidates"] = [{"groundingMetadata": {"webSearchQueries": queries}}]
    return any(candidate.get("finishReason") for candidate in candidates)


def _content_text(chunk: Chunk) -> str:
    parts = [
        part
        for candidate in objects_in(chunk.get("candidates"))
        for part in objects_in(object_in(candidate.get("content")).get("parts"))
    ]
    return "".join(text_in(part.get("text")) for part in parts)


def _take_interaction(answer: Chunk, chunk: Chunk) -> bool:
    """Interactions API: the interaction comes whole at the end."""
    interaction = object_in(chunk.get("interaction"))
    if interaction:
        answer.clear()
        answer.update(interaction)
    return chunk.get("event_type") == "interaction.completed"


GOOGLE = Provider(
    name="google",
    labels=("gemini", "vertex"),
    families=(GEMINI_USAGE,),
    folds=(
        Fold(
            api="interactions",
            recognises=starting("event_type", "interaction."),
            take=_take_interaction,
        ),
        Fold(
            api="generateContent",
            recognises=lambda chunk: "candidates" in chunk or "usageMetadata" in chunk,
            take=_take_content,
            text_of=_content_text,
        ),
    ),
    api_of=_api_of,
    call_of=_call_of,
)
