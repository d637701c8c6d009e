"""Voyage's and Jina's usage object: one total for everything, all of it input.

Embeddings and rerankings have no output, and images are counted as tokens in the same total. A lone total
could be anybody's, so that it is read where the provider is named.

Sources: https://docs.voyageai.com/reference/embeddings-api and
https://docs.voyageai.com/reference/reranker-api; https://api.jina.ai/redoc; recorded answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar.usage.providers.counts import Counts, usage_section
from bursar.usage.providers.provider import Family, Provider
from bursar.usage.providers.provider_usage import ProviderUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

TOTAL = "total_tokens"
SPLIT = frozenset(("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens"))


def read_lone_total(usage: Mapping[str, Any]) -> ProviderUsage:
    """The one total, as input.

    Raises:
        Invalid: a total that can't be.
    """
    counts, top = Counts(), usage_section(usage)
    return ProviderUsage(units=counts.checked({"input_text": counts.number(top, TOTAL)}))


VOYAGE = Provider(
    name="voyageai",
    labels=("voyage",),
    families=(
        Family(
            name="lone_total",
            shape='{"total_tokens"} (Voyage, Jina)',
            recognises=lambda usage: TOTAL in usage and SPLIT.isdisjoint(usage),
            read=read_lone_total,
            named=("voyage", "jina"),
            only_named=True,
        ),
    ),
)
