"""What an answer counts outside of its usage object: acts of the provider's tools, images, moderations.

Only what is billed by the piece is counted. A tool whose price no book has makes the answer's cost unknown,
by name, rather than too low. What the usage object itself counts is the business of `usage/providers/`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from bursar.usage.formats.answer_fields import object_at, objects_at

if TYPE_CHECKING:
    from collections.abc import Mapping

TOOL_CALLS = {
    "file_search_call": "file_searches",
    "code_interpreter_call": "code_executions",
    "image_generation_call": "image_generations",
}
"""Items of OpenAI's Responses API that are billed by the call, by its container, or, pictures, by tokens of
another model that the usage object leaves out
(https://developers.openai.com/api/docs/pricing, "Built-in tools")."""
GROQ_TOOLS = {"search": "searches", "visit": "website_visits", "python": "code_executions"}
"""Tools of Groq's compound systems, all billed (https://console.groq.com/docs/compound/built-in-tools)."""


def units_beside_usage(body: Mapping[str, Any]) -> dict[str, int]:
    """Unit to quantity, in whole units; without zeros."""
    counted = {
        "searches": _web_searches(body) or _grounding_searches(body),
        "images": _images(body),
        "requests": _moderations(body),
    }
    for item in objects_at(body, "output"):
        unit = TOOL_CALLS.get(str(item.get("type")))
        if unit:
            counted[unit] = counted.get(unit, 0) + 1
    for choice in objects_at(body, "choices"):
        for tool in objects_at(object_at(choice, "message"), "executed_tools"):
            unit = GROQ_TOOLS.get(str(tool.get("type")))
            if unit:
                counted[unit] = counted.get(unit, 0) + 1
    return {name: quantity for name, quantity in counted.items() if quantity}


def _web_searches(body: Mapping[str, Any]) -> int:
    """Web searches of OpenAI's Responses API.

    `tool_usage` has the billed number where it is there. Else the `search` actions count: opening a page
    and looking inside one are not billed
    (https://developers.openai.com/api/docs/guides/tools-web-search, "Search actions incur a tool call cost").
    """
    counted = object_at(object_at(body, "tool_usage"), "web_search").get("num_requests")
    if type(counted) is int:
        return max(counted, 0)
    calls = [item for item in objects_at(body, "output") if item.get("type") == "web_search_call"]
    return sum(object_at(call, "action").get("type", "search") == "search" for call in calls)


def _grounding_searches(body: Mapping[str, Any]) -> int:
    """Queries that Gemini sent to Google Search; its usage object doesn't count them."""
    searches = 0
    for candidate in objects_at(body, "candidates"):
        queries = object_at(candidate, "groundingMetadata").get("webSearchQueries")
        if isinstance(queries, list):
            searches += sum(bool(query) for query in cast("list[Any]", queries))
    return searches


def _moderations(body: Mapping[str, Any]) -> int:
    """A moderation, which says nothing of usage because it is free: one request, whose price is known."""
    return int(any("flagged" in result for result in objects_at(body, "results")))


def _images(body: Mapping[str, Any]) -> int:
    """Images of models that are billed by the piece (DALL-E): they come without a usage object."""
    if isinstance(body.get("usage"), dict):
        return 0
    return sum("url" in image or "b64_json" in image for image in objects_at(body, "data"))
