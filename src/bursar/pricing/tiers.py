"""In which way a call was made, as far as it changes the price: batch, service tier, speed, region.

Providers spell one tier in many ways; these tables name every spelling that is understood. A way
that isn't listed is not taken for the standard one: it has no price here, and the reason says so.
"""

from __future__ import annotations

from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from bursar.pricing.rows import Way

if TYPE_CHECKING:
    from collections.abc import Mapping

STANDARD_TIERS = frozenset(
    {
        "standard",
        "default",  # OpenAI, Azure, xAI
        "auto",  # OpenAI, Groq: the request's wish; the answer names another tier where one was used
        "standard_only",  # Anthropic: likewise
        "on_demand",  # Groq, Vertex AI
        "unspecified",  # Gemini's and Vertex AI's word for "not said"
    }
)
"""Pay-as-you-go at the list price. Not among them: `scale` and provisioned throughput, whose
tokens are paid in advance, and Groq's `performance`."""

TIER_SPELLINGS = MappingProxyType(
    {
        "on_demand_flex": "flex",  # Vertex AI's trafficType
        "on_demand_priority": "priority",  # Vertex AI's trafficType
    }
)
STANDARD_SPEEDS = frozenset({"standard", "normal"})
_ENUM_PREFIXES = ("service_tier_", "traffic_type_")

Traits = dict[str, str]
"""What sets a call apart from a standard one, in the words of the price source; often nothing."""


def requested_traits(service_tier: str | None, *, batch: bool, speed: str | None) -> Traits:
    """What sets a call apart from a standard one: `processing`, `service_tier`, `speed`."""
    traits: Traits = {}
    tier = _plain_tier(service_tier)
    if batch or tier == "batch":
        traits["processing"] = "batch"
    if tier not in STANDARD_TIERS and tier != "batch":
        traits["service_tier"] = tier
    pace = (speed or "standard").strip().lower()
    if pace not in STANDARD_SPEEDS:
        traits["speed"] = pace
    return traits


def traits_of(way: Way) -> Traits:
    """A way of calling in the words of conditions."""
    traits: Traits = {"processing": "batch"} if way.batch else {}
    if way.service_tier is not None:
        traits["service_tier"] = way.service_tier
    if way.speed is not None:
        traits["speed"] = way.speed
    return traits


def way_of(traits: Traits) -> Way:
    """A way of calling in the words of rows."""
    return Way(traits.get("service_tier"), "processing" in traits, traits.get("speed"))


def name_of_traits(traits: Traits) -> str:
    """One word for a reason: `batch`, `priority`, `speed_fast`, `batch+flex`."""
    return "+".join(f"speed_{value}" if trait == "speed" else value for trait, value in traits.items())


def _plain_tier(service_tier: str | None) -> str:
    tier = (service_tier or "standard").strip().lower().replace("-", "_")
    for prefix in _ENUM_PREFIXES:
        tier = tier.removeprefix(prefix)
    return TIER_SPELLINGS.get(tier, tier)


class Surcharge(NamedTuple):
    """What a region adds to the price of tokens, and who says so."""

    region: str
    factor: Fraction
    source: str


NO_SURCHARGE = Surcharge("", Fraction(1), "")
REGION_SURCHARGES: Mapping[tuple[str, str], Surcharge] = MappingProxyType(
    {
        ("anthropic", "us"): Surcharge(
            "us", Fraction(11, 10), "https://platform.claude.com/docs/en/build-with-claude/data-residency"
        ),
    }
)
"""(provider, region as the provider's answer names it) to the surcharge. Bedrock and Vertex AI name
regional prices by the model; other providers' regional prices are not in the book."""

MODELS_WITHOUT_REGIONS = (
    "claude-2",
    "claude-v1",
    "claude-3",
    "claude-opus-4-0",
    "claude-opus-4-1",
    "claude-opus-4-5",
    "claude-sonnet-4-0",
    "claude-sonnet-4-5",
    "claude-haiku-4-5",
)
"""Claude models older than Opus 4.6, which run where they run; a closed list."""


def region_surcharge(provider: str, model: str, region: str | None) -> Surcharge:
    """What a call's region adds to the price of its tokens."""
    if region is None or model.startswith(MODELS_WITHOUT_REGIONS):
        return NO_SURCHARGE
    return REGION_SURCHARGES.get((provider, region.strip().lower()), NO_SURCHARGE)
