"""Anthropic's usage object: the Messages API, wherever it is hosted.

`input_tokens` *excludes* what was read from or written to a cache; `output_tokens` includes thinking.
Where `iterations` are listed the top level is not the bill: it leaves out compactions and advisors,
which are billed, an advisor at its own model's price. Then the sum over all iterations counts.

Sources: type `BetaUsage` of the anthropic SDK 2.11 ("a `compaction` entry's tokens are not included in
the top-level `usage` fields") and recorded answers, one of which hides 55,096 cache-written tokens
behind `"input_tokens": 229`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar.units import INPUT_UNITS
from bursar.usage.providers.counts import Counts, Section, usage_section
from bursar.usage.providers.provider import Family
from bursar.usage.providers.provider_usage import ProviderUsage, UsagePart, sum_units

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bursar.units import Quantities

BATCH_TIER = "batch"
GEO_NOT_SAID = frozenset({"not_available"})
"""What `inference_geo` says where the model has no choice of region; an empty string is the same."""

CACHE_TTL_ASSUMED = "cache_write_taken_as_5m"
SUMMED_ITERATIONS = "summed_over_iterations"
CREDIT_REDEEMED = "fallback_credit_redeemed"
"""Billed as if the conversation had been on the retry's model all along: less than these counts cost."""


def read_anthropic_usage(usage: Mapping[str, Any]) -> ProviderUsage:
    """The disjoint units of an Anthropic usage object, other models' shares apart in `parts`.

    Raises:
        Invalid: counts that can't be, or parts larger than their total; with every reason.
    """
    counts, top = Counts(), usage_section(usage)
    notes: list[str] = []
    own = _turn_units(counts, top, notes)
    details = counts.section(top, "output_tokens_details")
    thinking = counts.number(details, "thinking_tokens")
    counts.within(thinking, own["output_text"], details, ("thinking_tokens",), "output_tokens")
    shares: dict[str, Quantities] = {}
    context = None
    if iterations := counts.sections(top, "iterations"):
        notes = [SUMMED_ITERATIONS]
        own, shares, context = _sum_iterations(counts, iterations, notes)
    own["output_reasoning"] = min(thinking, own["output_text"])
    own["output_text"] -= own["output_reasoning"]
    own["searches"] = counts.number(counts.section(top, "server_tool_use"), "web_search_requests")
    credit = counts.section(counts.section(top, "fallback_credit"), "status")
    if counts.word(credit, "type") == "redeemed":
        notes.append(CREDIT_REDEEMED)
    tier, region = counts.word(top, "service_tier"), counts.word(top, "inference_geo")
    return ProviderUsage(
        units=counts.checked(sum_units((own, *shares.values()))),
        parts=tuple(UsagePart(model, counts.checked(units)) for model, units in shares.items()),
        service_tier=tier,
        batch=tier == BATCH_TIER if tier else None,
        speed=counts.word(top, "speed"),
        region=None if region in GEO_NOT_SAID else region,
        context_tokens=context,
        notes=tuple(dict.fromkeys(notes)) if notes else (),
    )


def _turn_units(counts: Counts, turn: Section, notes: list[str]) -> Quantities:
    """Units of one call of the model: the whole answer, or one iteration of it."""
    written = counts.number(turn, "cache_creation_input_tokens")
    split = counts.section(turn, "cache_creation")
    five_minutes = counts.number(split, "ephemeral_5m_input_tokens")
    one_hour = counts.number(split, "ephemeral_1h_input_tokens")
    if turn.values.get("cache_creation_input_tokens") is None:
        written = five_minutes + one_hour
    counts.within(five_minutes + one_hour, written, turn, ("cache_creation",), "the tokens written")
    if written > five_minutes + one_hour:
        # Five minutes is the lifetime that a request gets without asking for one.
        notes.append(CACHE_TTL_ASSUMED)
    return {
        "input_text": counts.number(turn, "input_tokens"),
        "cache_read_text": counts.number(turn, "cache_read_input_tokens"),
        "cache_write_5m": written - one_hour,
        "cache_write_1h": one_hour,
        "output_text": counts.number(turn, "output_tokens"),
    }


def _sum_iterations(
    counts: Counts, iterations: Sequence[Section], notes: list[str]
) -> tuple[Quantities, dict[str, Quantities], int | None]:
    """Units of the answer's own model, units by other model, and the largest prompt of the own model.

    An iteration that names no model is the answer's own. Where all name one and the same, that is the
    answer's own model too.
    """
    turns = [(counts.word(turn, "model"), _turn_units(counts, turn, notes)) for turn in iterations]
    names = {model for model, _ in turns}
    own = [units for model, units in turns if model is None or len(names) == 1]
    shares: dict[str, Quantities] = {}
    for model, units in turns:
        if model is not None and len(names) > 1:
            shares[model] = sum_units((shares.get(model, {}), units))
    prompts = [sum(units.get(name, 0) for name in INPUT_UNITS) for units in own]
    context = max(prompts) if len(prompts) > 1 else None
    return sum_units((dict.fromkeys(turns[0][1], 0), *own)), shares, context


_TURN_FIELDS = frozenset(("input_tokens", "output_tokens"))
_OWN_FIELDS = frozenset(
    (
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "cache_creation",
        "server_tool_use",
        "inference_geo",
        "iterations",
    )
)
_OWN_WORDS = frozenset(("service_tier", "speed"))
"""Anthropic's too, but a caller may have put OpenAI's own `service_tier` beside its counts."""
_RESPONSES_DETAILS = frozenset(("input_tokens_details", "input_token_details"))
_DISPUTE = (
    "Cached tokens may be inside input_tokens (OpenAI) or beside them (Anthropic), and this object "
    "has fields of both."
)


def _is_own(usage: Mapping[str, Any]) -> bool:
    if _TURN_FIELDS.isdisjoint(usage):
        return False
    if not _OWN_FIELDS.isdisjoint(usage):
        return True
    return not _OWN_WORDS.isdisjoint(usage) and _RESPONSES_DETAILS.isdisjoint(usage)


def _why_disputed(usage: Mapping[str, Any]) -> str:
    return "" if _RESPONSES_DETAILS.isdisjoint(usage) else _DISPUTE


ANTHROPIC_USAGE = Family(
    name="anthropic",
    shape='{"input_tokens", "cache_read_input_tokens", …} (Anthropic)',
    recognises=_is_own,
    read=read_anthropic_usage,
    is_disputed=_why_disputed,
    settled_by=("anthropic", "claude"),
)
