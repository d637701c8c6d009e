"""What an answer says that it cost, wherever a usage object says so.

Three spellings are known, and no two providers share one. Units are not read here (that is each family's
own business), nor is it decided whether such a figure counts: that is for the tenant to say.

Sources: OpenRouter's usage accounting (https://openrouter.ai/docs/use-cases/usage-accounting) and recorded
answers; `cost_in_usd_ticks` of xAI's `usage.proto`, 1e10 ticks to the dollar; Perplexity's `usage.cost`
(https://docs.perplexity.ai/api-reference/chat-completions-post).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from bursar.usage.providers.provider_usage import EVERYTHING, FEE_AND_UPSTREAM, ProviderCost

if TYPE_CHECKING:
    from bursar.usage.providers.counts import Counts, Section

TICKS_PER_DOLLAR = Decimal(10**10)
UPSTREAM_INPUT = ("upstream_inference_prompt_cost", "upstream_inference_input_cost")
UPSTREAM_OUTPUT = ("upstream_inference_completions_cost", "upstream_inference_output_cost")
"""Names in chat completions and in responses."""
BYOK_WITHOUT_UPSTREAM = "byok_upstream_cost_not_said"


def read_reported_cost(counts: Counts, usage: Section) -> ProviderCost | None:
    """The provider's own figure, None where the usage object has none."""
    if usage.values.get("cost_in_usd_ticks") is not None:
        ticks = counts.long_number(usage, "cost_in_usd_ticks")
        return ProviderCost((ticks / TICKS_PER_DOLLAR).normalize(), EVERYTHING)
    cost = usage.values.get("cost")
    if isinstance(cost, dict):
        total = counts.amount(counts.section(usage, "cost"), "total_cost")
        return None if total is None else ProviderCost(total, EVERYTHING)
    charged = counts.amount(usage, "cost")
    if charged is None:
        return None
    if usage.values.get("is_byok") is not True:
        return ProviderCost(charged, EVERYTHING)
    upstream = _upstream_cost(counts, counts.section(usage, "cost_details"))
    if upstream is None:
        # The key's owner is billed by another provider, by an amount that nobody told.
        counts.notes.append(BYOK_WITHOUT_UPSTREAM)
        return None
    return ProviderCost(charged + upstream, FEE_AND_UPSTREAM)


def _upstream_cost(counts: Counts, details: Section) -> Decimal | None:
    """What the upstream provider bills: its total, or the sum of both parts where the total is null."""
    total = counts.amount(details, "upstream_inference_cost")
    if total is not None:
        return total
    prompt, completion = counts.amount(details, *UPSTREAM_INPUT), counts.amount(details, *UPSTREAM_OUTPUT)
    return None if prompt is None or completion is None else prompt + completion
