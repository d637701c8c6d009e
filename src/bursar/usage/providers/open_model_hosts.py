"""Hosts of open models, which answer in OpenAI's shape, with one difference or none.

- Together and Moonshot say `cached_tokens` beside the totals; they are part of the prompt.
- Hugging Face's router passes on to a host that the call's address or a header of the answer names, whose
  price counts, and whose answer it passes back as it came.
- Cerebras, Z.ai, Fireworks and GitHub Copilot have OpenAI's object, reasoning and cached tokens inside: they
  need no more than their line in `registry.py`.

Sources: https://docs.together.ai/reference/chat-completions-1, https://platform.moonshot.ai/docs/api/chat,
https://huggingface.co/docs/inference-providers/pricing, https://inference-docs.cerebras.ai/api-reference,
https://docs.z.ai/api-reference/llm/chat-completion, https://docs.fireworks.ai/api-reference; recorded answers
of all but Moonshot, Fireworks and Copilot.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bursar.usage.providers.dialects import Dialect, imitation
from bursar.usage.providers.openai import read_openai_usage
from bursar.usage.providers.provider import CallPlace, Provider

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

CACHED = "cached_tokens"
CACHED_BESIDE = Dialect(cached=(CACHED,))
ROUTER = "router.huggingface.co"


def call_of_router(url: SplitResult) -> CallPlace:
    """The host that Hugging Face's router was told to ask: `/together/v1/chat/completions`."""
    host = url.path.strip("/").partition("/")[0]
    return CallPlace() if url.hostname != ROUTER or host in {"", "v1"} else CallPlace(provider=_list_of(host))


def host_in_headers(headers: Mapping[str, str]) -> str | None:
    """The host that the router chose, which it says in a header of the answer."""
    host = headers.get("x-inference-provider", "").strip()
    return _list_of(host) if host else None


def _list_of(host: str) -> str:
    """The price list of a host behind the router."""
    return f"huggingface_{host.lower()}"[:64]


TOGETHER = Provider(
    name="together",
    families=imitation(
        "together",
        ("together", "moonshot", "kimi"),
        partial(read_openai_usage, dialect=CACHED_BESIDE),
        frozenset((CACHED,)),
    ),
)
HUGGINGFACE = Provider(name="huggingface", labels=("hf",), call_of=call_of_router, passed_to=host_in_headers)
