"""OpenRouter's usage object: OpenAI's in its own spelling of the tokens of many models, and what it cost.

Tokens are those of the model that answered, inside the totals. Reasoning is counted apart from the
output and was recorded once as one token more than it: then all output is reasoning. Video in the prompt
is counted as such. Searches of its own tools are counted; its fee for them is in the cost that it reports
(`reported_costs.py`), with a key of one's own (`is_byok`) together with what the upstream provider bills.

Sources: https://openrouter.ai/docs/use-cases/usage-accounting and https://openrouter.ai/docs/features/web-search;
recorded answers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bursar.usage.providers.counts import Counts, usage_section
from bursar.usage.providers.dialects import Dialect, imitation
from bursar.usage.providers.openai import read_openai_counts
from bursar.usage.providers.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.usage.providers.provider_usage import ProviderUsage

DIALECT = Dialect(caps_reasoning=True)
TOOLS = ("server_tool_use_details", "server_tool_use")


def read_openrouter_usage(usage: Mapping[str, Any]) -> ProviderUsage:
    """The disjoint units of OpenRouter's usage object, and what it says that the call cost.

    Raises:
        Invalid: counts that can't be, or parts larger than their total; with every reason.
    """
    counts, top = Counts(), usage_section(usage)
    searches = counts.number(counts.section(top, *TOOLS), "web_search_requests")
    said = read_openai_counts(counts, top, DIALECT)
    return replace(said, units=said.units | {"searches": searches}) if searches else said


OPENROUTER = Provider(
    name="openrouter",
    families=imitation(
        "openrouter", ("openrouter",), read_openrouter_usage, frozenset(("cost_details", "is_byok"))
    ),
)
