"""IBM watsonx.ai's usage: counts in each result of a text generation; its chat API speaks OpenAI's shape.

`input_token_count` and `generated_token_count` stand beside each other in every result. A stream repeats
them with the text: the largest of each is taken, so that neither growing nor single counts are summed.
Embeddings have one `input_token_count` beside their results.

Sources: types `TextGenResponse` and `EmbeddingsResponse` of the watsonx.ai API reference (2024-02-15), and
a recorded answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar.usage.providers.chunks import keep, objects_in, text_in
from bursar.usage.providers.counts import Counts, usage_section
from bursar.usage.providers.provider import Family, Fold, Provider
from bursar.usage.providers.provider_usage import ProviderUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.usage.providers.provider import Chunk

INPUT = "input_token_count"
OUTPUT = "generated_token_count"


def read_watsonx_usage(usage: Mapping[str, Any]) -> ProviderUsage:
    """The units of a generation: the sum over its results, each counted on its own.

    Raises:
        Invalid: counts that can't be, with every reason.
    """
    counts, top = Counts(), usage_section(usage)
    results = [top, *counts.sections(top, "results")]
    units = {
        "input_text": sum(counts.number(result, INPUT) for result in results),
        "output_text": sum(counts.number(result, OUTPUT) for result in results),
    }
    return ProviderUsage(counts.checked(units))


def _is_own(usage: Mapping[str, Any]) -> bool:
    owners = [usage, *objects_in(usage.get("results"))]
    return any(INPUT in owner or OUTPUT in owner for owner in owners)


def _answer_of(body: Mapping[str, Any], _headers: Mapping[str, str]) -> dict[str, Any]:
    """The answer under the usual names, its counts without the texts that they stand beside."""
    answer = {**body, "model": body.get("model") or body.get("model_id")}
    if _is_own(body):
        results = [
            {name: result[name] for name in (INPUT, OUTPUT) if name in result}
            for result in objects_in(body.get("results"))
        ]
        usage: dict[str, Any] = {"results": [result for result in results if result]}
        answer["usage"] = {**usage, INPUT: body[INPUT]} if INPUT in body else usage
    errors = objects_in(body.get("errors"))
    if errors:
        answer["error"] = errors[0]
    return answer


def _take_generation(answer: Chunk, chunk: Chunk) -> bool:
    """Text generation: the largest count of each kind that any event has."""
    keep(answer, chunk, "model_id", "created_at")
    ends = False
    for position, result in enumerate(objects_in(chunk.get("results"))):
        kept = answer.setdefault("results", [])
        if position == len(kept):
            kept.append({})
        for name in (INPUT, OUTPUT):
            count = result.get(name)
            if type(count) is int and count > kept[position].get(name, -1):
                kept[position][name] = count
        ends = ends or result.get("stop_reason") not in {None, "not_finished", "NOT_FINISHED"}
    return ends


WATSONX = Provider(
    name="watsonx",
    families=(
        Family(
            name="watsonx",
            shape='{"results": [{"input_token_count", "generated_token_count"}]} (watsonx)',
            recognises=_is_own,
            read=read_watsonx_usage,
        ),
    ),
    folds=(
        Fold(
            api="textgen",
            recognises=lambda chunk: "model_id" in chunk and "results" in chunk,
            take=_take_generation,
            text_of=lambda chunk: "".join(
                text_in(result.get("generated_text")) for result in objects_in(chunk.get("results"))
            ),
        ),
    ),
    api_of=lambda body: "textgen" if "model_id" in body and _is_own(body) else "",
    answer_of=_answer_of,
)
