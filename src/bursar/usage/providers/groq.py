"""Groq's answers: OpenAI's usage object, in streams under `x_groq`, and systems that ask several models.

A compound system's usage is the sum over the models that it asked; `usage_breakdown`, which stands beside
it, has each one's share, billed at that model's price. Its tools are listed in the message. Times in
the usage object are no units. Reasoning and cached tokens are inside the totals.

Sources: https://console.groq.com/docs/compound and https://console.groq.com/docs/prompt-caching; type
`CompletionUsage` and `XGroq` of the groq SDK; recorded answers, in one of which two models took part.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bursar.usage.providers.chunks import object_in, text_in
from bursar.usage.providers.counts import Counts, Section, usage_section
from bursar.usage.providers.dialects import OPENAI_ITSELF, imitation
from bursar.usage.providers.openai import read_openai_counts, read_openai_usage
from bursar.usage.providers.openai_answers import chat_text, take_chat
from bursar.usage.providers.provider import Fold, Provider
from bursar.usage.providers.provider_usage import UsagePart, sum_units

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.units import Quantities
    from bursar.usage.providers.provider import Chunk
    from bursar.usage.providers.provider_usage import ProviderUsage

BREAKDOWN = "usage_breakdown"


def read_groq_usage(usage: Mapping[str, Any]) -> ProviderUsage:
    """The disjoint units of Groq's usage object, each model's share apart where several took part.

    Raises:
        Invalid: counts that can't be, or shares larger than the whole; with every reason.
    """
    counts, top = Counts(), usage_section(usage)
    shares = counts.sections(counts.section(top, BREAKDOWN), "models")
    whole = read_openai_counts(counts, top, OPENAI_ITSELF)
    if not shares:
        return whole
    by_model: dict[str, Quantities] = {}
    for share in shares:
        model = counts.word(share, "model") or ""
        units = _units_of(counts, share)
        by_model[model] = sum_units((by_model.get(model, {}), units))
    together = sum_units(tuple(by_model.values()))
    if any(quantity > whole.units.get(name, 0) for name, quantity in together.items()):
        text = "The models' shares add up to more than the whole."
        counts.refuse(f"usage.{BREAKDOWN}.models", "contradiction", text)
    counts.checked({})
    parts = tuple(UsagePart(model, units) for model, units in by_model.items() if units)
    return replace(whole, parts=parts)


def _units_of(counts: Counts, share: Section) -> Quantities:
    values = counts.section(share, "usage").values
    return read_openai_usage(values).units


def answer_of_groq(body: Mapping[str, Any], _headers: Mapping[str, str]) -> Mapping[str, Any]:
    """The answer with the models' shares where the whole is."""
    usage = object_in(body.get("usage")) or object_in(object_in(body.get("x_groq")).get("usage"))
    breakdown = object_in(body.get(BREAKDOWN))
    if not usage:
        return body
    return {**body, "usage": {**usage, BREAKDOWN: breakdown} if breakdown else usage}


def _take_chat(answer: Chunk, chunk: Chunk) -> bool:
    """As OpenAI's, but usage and errors may come under `x_groq` only."""
    is_last = take_chat(answer, chunk)
    beside = object_in(chunk.get("x_groq"))
    for name in ("usage", BREAKDOWN):
        if object_in(beside.get(name)) and not object_in(answer.get(name)):
            answer[name] = beside[name]
    if text_in(beside.get("error")):
        answer.setdefault("error", {"message": beside["error"]})
    return is_last


GROQ = Provider(
    name="groq",
    families=imitation("groq", ("groq",), read_groq_usage, frozenset((BREAKDOWN,))),
    folds=(
        Fold(
            api="chat",
            recognises=lambda chunk: "x_groq" in chunk,
            take=_take_chat,
            text_of=chat_text,
        ),
    ),
    answer_of=answer_of_groq,
)
