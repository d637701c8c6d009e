"""xAI's usage objects, of its REST API and of its gRPC API, and the tools that it runs itself.

Reasoning stands *beside* the completion tokens: total = prompt + completion + reasoning. The REST object is
OpenAI's otherwise; that of the Responses API has reasoning inside (`input_tokens` 57743, `output_tokens` 4373
with 3041 of reasoning, `total_tokens` 62116). The gRPC object, as protobuf writes it in JSON, leaves zeros
out, splits the prompt (`prompt_text_tokens`, `prompt_image_tokens`) and repeats growing counts in every chunk
of a stream. All may say what the call cost (`cost_in_usd_ticks`), and count the tools and the sources of a
live search, which are billed by the piece; tools of MCP servers are billed by their tokens only.

Sources: `usage.proto` of the xai-sdk; https://docs.x.ai/developers/cost-tracking and
https://docs.x.ai/developers/pricing ("Tool Invocation Costs"); published answers of the Responses API; 13
recorded gRPC answers and a REST report with its exact cost, in which totals are the sum of all three.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bursar.units import CUSTOM_SCALE
from bursar.usage.providers.chunks import keep, object_in, objects_in, text_in, texts_in
from bursar.usage.providers.counts import Counts, Section, usage_section
from bursar.usage.providers.dialects import OPENAI_ITSELF, Dialect, imitation, is_chat
from bursar.usage.providers.openai import read_openai_counts
from bursar.usage.providers.provider import Family, Fold, Provider
from bursar.usage.providers.provider_usage import ProviderUsage
from bursar.usage.providers.reported_costs import read_reported_cost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.units import Quantities
    from bursar.usage.providers.provider import Chunk

WORDS = ("x-ai", "xai", "x_ai", "x.ai", "grok")
CHAT = Dialect(reasoning_beside=True)
TOOLS_USED = "server_side_tools_used"
TOOL_DETAILS = "server_side_tool_usage_details"
SOURCES = "num_sources_used"
PROMPT_PARTS = frozenset(("prompt_text_tokens", "prompt_image_tokens", "cached_prompt_text_tokens"))

TOOL_UNITS = {
    "SERVER_SIDE_TOOL_WEB_SEARCH": "searches",
    "web_search_calls": "searches",
    "SERVER_SIDE_TOOL_X_SEARCH": "social_searches",
    "x_search_calls": "social_searches",
    "SERVER_SIDE_TOOL_CODE_EXECUTION": "code_executions",
    "code_interpreter_calls": "code_executions",
    "SERVER_SIDE_TOOL_COLLECTIONS_SEARCH": "file_searches",
    "file_search_calls": "file_searches",
    "SERVER_SIDE_TOOL_ATTACHMENT_SEARCH": "attachment_searches",
    "document_search_calls": "attachment_searches",
    "image_generation_calls": "image_generations",
}
"""Tools that are billed by the call, by their names in gRPC and in REST."""


def read_xai_usage(usage: Mapping[str, Any]) -> ProviderUsage:
    """The disjoint units of a REST answer.

    Raises:
        Invalid: counts that can't be, or parts larger than their total; with every reason.
    """
    counts, top = Counts(), usage_section(usage)
    tools = _tools(counts, top)
    dialect = CHAT if is_chat(usage) else OPENAI_ITSELF
    return _with_tools(read_openai_counts(counts, top, dialect), tools)


def read_xai_grpc_usage(usage: Mapping[str, Any]) -> ProviderUsage:
    """The disjoint units of a gRPC answer.

    Raises:
        Invalid: counts that can't be, or parts larger than their total; with every reason.
    """
    counts, top = Counts(), usage_section(usage)
    tools = _tools(counts, top)
    prompt, image = counts.number(top, "prompt_tokens"), counts.number(top, "prompt_image_tokens")
    cached = counts.number(top, "cached_prompt_text_tokens")
    counts.within(cached + image, prompt, top, ("cached_prompt_text_tokens",), "all input tokens")
    units = {
        "input_text": prompt - cached - image,
        "input_image": image,
        "cache_read_text": cached,
        "output_text": counts.number(top, "completion_tokens"),
        "output_reasoning": counts.number(top, "reasoning_tokens"),
    }
    total = counts.number(top, "total_tokens")
    if total and total != sum(units.values()) and not counts.reasons:
        text = f"total_tokens is {total}, but its parts add up to {sum(units.values())}."
        counts.refuse("usage.total_tokens", "contradiction", text)
    reported = read_reported_cost(counts, top)
    return _with_tools(ProviderUsage(counts.checked(units), reported_cost=reported), tools)


def _with_tools(said: ProviderUsage, tools: Quantities) -> ProviderUsage:
    searches = tools.pop("searches", 0)
    return replace(
        said,
        units=said.units | {"searches": searches} if searches else said.units,
        custom={name: calls * 10**CUSTOM_SCALE for name, calls in tools.items()},
    )


def _tools(counts: Counts, top: Section) -> Quantities:
    """Calls of the tools that are billed by the call, and sources of a live search."""
    tools: Quantities = {}
    for tool in texts_in(top.values.get(TOOLS_USED)):
        if tool in TOOL_UNITS:
            tools[TOOL_UNITS[tool]] = tools.get(TOOL_UNITS[tool], 0) + 1
    details = counts.section(top, TOOL_DETAILS)
    for name in details.values:
        if name in TOOL_UNITS and (calls := counts.number(details, name)):
            tools[TOOL_UNITS[name]] = tools.get(TOOL_UNITS[name], 0) + calls
    if sources := counts.number(top, SOURCES):
        tools["search_sources"] = sources
    return tools


def answer_of_xai(body: Mapping[str, Any], _headers: Mapping[str, str]) -> Mapping[str, Any]:
    """The answer out of what recorders of the gRPC client put around it: one message, or its chunks."""
    if chunks := objects_in(body.get("chunks_json")):
        answer: Chunk = {}
        for chunk in chunks:
            _take_chunk(answer, object_in(chunk.get("chunk")) or chunk)
        return answer
    if alone := object_in(body.get("usage_only")):
        return {"usage": alone}
    return object_in(body.get("json")) or body


def _take_chunk(answer: Chunk, chunk: Chunk) -> bool:
    """gRPC: every chunk repeats the counts so far, but those of tools' results, which are empty."""
    keep(answer, chunk, "id", "model", "created")
    if usage := object_in(chunk.get("usage")):
        answer["usage"] = usage
    ends = [text_in(output.get("finish_reason")) for output in objects_in(chunk.get("outputs"))]
    return "REASON_STOP" in ends


def _is_grpc_chunk(chunk: Chunk) -> bool:
    return any("delta" in output for output in objects_in(chunk.get("outputs")))


XAI = Provider(
    name="x-ai",
    labels=("xai", "x_ai", "grok"),
    families=(
        Family(
            name="xai_grpc",
            shape='{"prompt_tokens", "prompt_text_tokens", …} (xAI, gRPC)',
            recognises=lambda usage: not PROMPT_PARTS.isdisjoint(usage),
            read=read_xai_grpc_usage,
            named=WORDS,
        ),
        *imitation(
            "xai",
            WORDS,
            read_xai_usage,
            frozenset(("cost_in_usd_ticks", SOURCES, TOOL_DETAILS)),
        ),
    ),
    folds=(Fold(api="chat", recognises=_is_grpc_chunk, take=_take_chunk),),
    answer_of=answer_of_xai,
)
