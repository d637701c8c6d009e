"""AWS Bedrock's answers besides usage: bodies by model, headers, streams, and what the address says.

A model's id in the address, with its region's prefix, is what the price list names; the model in an answer
is the maker's own word for it, so the id counts. Service tier and optimised latency come from the answer.
The usage objects are read in `bedrock.py`, the binary frames in `event_stream.py`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from bursar.usage.providers.bedrock import CONVERSE, LLAMA, LLAMA_OUTPUT, TITAN, TITAN_INPUT
from bursar.usage.providers.chunks import keep, object_in, objects_in, text_in
from bursar.usage.providers.provider import CallPlace, Fold, Provider

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

    from bursar.usage.providers.provider import Chunk

METRICS = "amazon-bedrock-invocationMetrics"
COUNTING_HEADERS = {
    "x-amzn-bedrock-input-token-count": "inputTokenCount",
    "x-amzn-bedrock-output-token-count": "outputTokenCount",
    "x-amzn-bedrock-cache-read-input-token-count": "cacheReadInputTokenCount",
    "x-amzn-bedrock-cache-write-input-token-count": "cacheWriteInputTokenCount",
}
"""Headers of every InvokeModel answer, by the names that the same counts have in the metrics."""
TIER_HEADER = "x-amzn-bedrock-service-tier"
LATENCY_HEADER = "x-amzn-bedrock-performanceconfig-latency"
REQUEST_ID = "x-amzn-requestid"
ERROR_TYPE = "x-amzn-errortype"
DIGITS_LIMIT = 13
ERROR_FIELDS = frozenset(("message", "Message", "__type"))
_HOST = re.compile(r"bedrock-(?:runtime|mantle)(?:-fips)?\.([a-z0-9-]{1,32})\.")
_CONVERSE_EVENTS = ("messageStart", "contentBlockStart", "contentBlockDelta", "messageStop", "metadata")
_MODELS_OWN = ("outputText", "generation", "outputs")
"""Fields by which chunks of Titan, Llama and Mistral are told."""


def _api_of(body: Mapping[str, Any]) -> str:
    output = body.get("output")
    if "stopReason" in body and isinstance(output, dict) and "message" in output:
        return "converse"
    return "invoke" if "inputTextTokenCount" in body or LLAMA_OUTPUT[0] in body else ""


def _answer_of(body: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    """The answer under the usual names; what the body leaves out stands in the headers."""
    answer: dict[str, Any] = dict(body)
    if not text_in(answer.get("id")):
        answer["id"] = headers.get(REQUEST_ID)
    usage = object_in(body.get("usage")) or _own_counts(body) or _header_counts(headers)
    if usage:
        answer["usage"] = usage
    elif body and ERROR_FIELDS.issuperset(body):
        code = headers.get(ERROR_TYPE, "").partition(":")[0] or text_in(body.get("__type"))
        message = text_in(body.get("message")) or text_in(body.get("Message"))
        answer["error"] = {"code": code, "message": message}
    answer["service_tier"] = _tier_of(body, headers)
    latency = text_in(object_in(body.get("performanceConfig")).get("latency"))
    answer["speed"] = latency or headers.get(LATENCY_HEADER)
    return answer


def _own_counts(body: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of a model whose answer has no usage object, without the text that they stand in."""
    if TITAN_INPUT[0] in body:
        usage = {
            name: body[name] for name in ("inputTextTokenCount", "totalOutputTextTokenCount") if name in body
        }
        results = [{"tokenCount": result.get("tokenCount")} for result in objects_in(body.get("results"))]
        return {**usage, "results": results} if results else usage
    if LLAMA_OUTPUT[0] in body:
        return {name: body.get(name) for name in ("prompt_token_count", "generation_token_count")}
    return object_in(body.get(METRICS))


def _header_counts(headers: Mapping[str, str]) -> dict[str, Any]:
    return {
        field: int(headers[name])
        for name, field in COUNTING_HEADERS.items()
        if headers.get(name, "").isascii()
        and headers.get(name, "").isdigit()
        and len(headers[name]) <= DIGITS_LIMIT
    }


def _tier_of(body: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    """Converse says `{"type": …}`, OpenAI's shapes a word, InvokeModel a header."""
    said = body.get("service_tier") or body.get("serviceTier")
    return text_in(object_in(said).get("type")) or text_in(said) or headers.get(TIER_HEADER) or None


def _call_of(url: SplitResult) -> CallPlace:
    """`bedrock-runtime.<region>.…/model/<id>/converse`, the id percent-encoded or not."""
    region = _HOST.search(url.netloc)
    model = unquote(url.path.partition("/model/")[2].rpartition("/")[0])
    return CallPlace(model or None, region[1] if region else None)


def _take_converse(answer: Chunk, chunk: Chunk) -> bool:
    """ConverseStream, and Nova's own stream: the last event has usage, tier and latency."""
    metadata = object_in(chunk.get("metadata"))
    keep(answer, metadata, "usage", "serviceTier", "performanceConfig")
    return "messageStop" in chunk


def _converse_text(chunk: Chunk) -> str:
    delta = object_in(object_in(chunk.get("contentBlockDelta")).get("delta"))
    reasoning = object_in(delta.get("reasoningContent"))
    tool = object_in(delta.get("toolUse"))
    return text_in(delta.get("text")) + text_in(reasoning.get("text")) + text_in(tool.get("input"))


def _take_metrics(answer: Chunk, chunk: Chunk) -> bool:
    """AWS's own count, which the last chunk of every model's stream has."""
    metrics = object_in(chunk.get(METRICS))
    if metrics:
        answer["usage"] = metrics
    return bool(metrics)


def _models_own_text(chunk: Chunk) -> str:
    outputs = "".join(text_in(output.get("text")) for output in objects_in(chunk.get("outputs")))
    return text_in(chunk.get("outputText")) + text_in(chunk.get("generation")) + outputs


AWS = Provider(
    name="aws",
    labels=("bedrock", "bedrock-mantle", "amazon"),
    families=(CONVERSE, TITAN, LLAMA),
    folds=(
        Fold(
            api="converse",
            recognises=lambda chunk: any(isinstance(chunk.get(name), dict) for name in _CONVERSE_EVENTS),
            take=_take_converse,
            text_of=_converse_text,
        ),
        Fold(
            api="invoke",
            recognises=lambda chunk: any(name in chunk for name in _MODELS_OWN),
            take=_take_metrics,
            text_of=_models_own_text,
        ),
        Fold(api="invoke", recognises=lambda chunk: METRICS in chunk, take=_take_metrics, only_fills=True),
    ),
    api_of=_api_of,
    answer_of=_answer_of,
    call_of=_call_of,
    names_models=False,
)
